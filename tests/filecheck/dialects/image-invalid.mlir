// RUN: not slmc opt %s
// CHECK: error: slm.patches: patches of 10 x 10 of an image [3, 9, 12]: expected [C, h, w] at least as large
func.func @f(%x: tensor<3x9x12xf32>) {
  %y = slm.patches %x size 10 : tensor<3x9x12xf32> -> tensor<1x3x10x10xf32>
  func.return
}
// -----
// CHECK: error: slmq.patches: patches gives [6, 3, 4, 4], found [6, 3, 16]
func.func @f(%x: tensor<3x9x12xf32>) {
  %y = slmq.patches %x size 4 : tensor<3x9x12xf32> -> tensor<6x3x16xf32>
  func.return
}
// -----
// CHECK: error: slm.concat: concat takes a fixed number of equal rows, found [?, 8] and [2, 8]
func.func @f(%x: tensor<?x8xf32>, %y: tensor<2x8xf32>) {
  %z = slm.concat %x, %y : tensor<?x8xf32>, tensor<2x8xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.concat: concat takes a fixed number of equal rows, found [1, 8] and [2, 4]
func.func @f(%x: tensor<1x8xf32>, %y: tensor<2x4xf32>) {
  %z = slmq.concat %x, %y : tensor<1x8xf32>, tensor<2x4xf32> -> tensor<3x8xf32>
  func.return
}
// -----
// CHECK: error: slm.concat: concat gives [3, 8], found [2, 8]
func.func @f(%x: tensor<1x8xf32>, %y: tensor<2x8xf32>) {
  %z = slm.concat %x, %y : tensor<1x8xf32>, tensor<2x8xf32> -> tensor<2x8xf32>
  func.return
}
// -----
// CHECK: error: slm.l2_normalize: l2_normalize works on rows, found [8]
func.func @f(%x: tensor<8xf32>) {
  %z = slm.l2_normalize %x : tensor<8xf32>
  func.return
}
// -----
// CHECK: error: slm.full_attention: full_attention takes q [n, H, hd], k and v [m, G, hd] with m fixed, found [4, 3, 8], [?, 1, 8], [?, 1, 8]
func.func @f(%q: tensor<4x3x8xf32>, %k: tensor<?x1x8xf32>) {
  %z = slm.full_attention %q, %k, %k scale 1.0 : tensor<4x3x8xf32>, tensor<?x1x8xf32>, tensor<?x1x8xf32> -> tensor<4x3x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.full_attention: full_attention takes q [n, H, hd], k and v [m, G, hd] with m fixed, found [4, 3, 8], [5, 2, 8], [5, 2, 8]
func.func @f(%q: tensor<4x3x8xf32>, %k: tensor<5x2x8xf32>) {
  %z = slmq.full_attention %q, %k, %k : tensor<4x3x8xf32>, tensor<5x2x8xf32>, tensor<5x2x8xf32> -> tensor<4x3x8xf32>
  func.return
}
// -----
// CHECK: error: slm.full_attention: full_attention gives [4, 2, 8], found [5, 2, 8]
func.func @f(%q: tensor<4x2x8xf32>, %k: tensor<5x2x8xf32>) {
  %z = slm.full_attention %q, %k, %k scale 1.0 : tensor<4x2x8xf32>, tensor<5x2x8xf32>, tensor<5x2x8xf32> -> tensor<5x2x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.full_attention: full_attention of tensor<4x2x8xf32> over tensor<5x2x8xbf16> and tensor<5x2x8xbf16> is not defined
func.func @f(%q: tensor<4x2x8xf32>, %k: tensor<5x2x8xbf16>) {
  %z = slmq.full_attention %q, %k, %k : tensor<4x2x8xf32>, tensor<5x2x8xbf16>, tensor<5x2x8xbf16> -> tensor<4x2x8xf32>
  func.return
}
// -----
// CHECK: error: slm.replace: replace takes x [T, ..], places [T] i32, rows [n, ..], found [?, 8], [?], [2, 4]
func.func @f(%x: tensor<?x8xf32>, %p: tensor<?xi32>, %r: tensor<2x4xf32>) {
  %z = slm.replace %x, %p, %r : tensor<?x8xf32>, tensor<?xi32>, tensor<2x4xf32>
  func.return
}
// -----
// CHECK: error: slmq.replace: replace takes x [T, ..], places [T] i32, rows [n, ..], found [?, 8], [?], [2, 8]
func.func @f(%x: tensor<?x8xf32>, %p: tensor<?xf32>, %r: tensor<2x8xf32>) {
  %z = slmq.replace %x, %p, %r : tensor<?x8xf32>, tensor<?xf32>, tensor<2x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.rows: a rows region takes chunks of the values of the rows op
func.func @f(%x: tensor<4x8xf32>) {
  %y = slmq.rows(%x) {
  ^bb0(%r: tensor<4x8xf32>, %s: tensor<?x8xf32>):
    slmq.yield %s : tensor<?x8xf32>
  } : tensor<4x8xf32> -> tensor<4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.rows: rows yields chunks of the values it results in
func.func @f(%x: tensor<4x8xf32>) {
  %y = slmq.rows(%x) {
  ^bb0(%r: tensor<?x8xf32>):
    slmq.yield %r : tensor<?x8xf32>
  } : tensor<4x8xf32> -> tensor<4x4xf32>
  func.return
}
// -----
// CHECK: error: slmq.rows: rows works on one number of rows, found [4, 5]
func.func @f(%x: tensor<4x8xf32>) {
  %y = slmq.rows(%x) {
  ^bb0(%r: tensor<?x8xf32>):
    slmq.yield %r : tensor<?x8xf32>
  } : tensor<4x8xf32> -> tensor<5x8xf32>
  func.return
}
