// RUN: not slmc opt %s
// CHECK: <stdin>:4:3: error: slm.embedding: embedding gives {{.*}}, found
func.func @f(%t: tensor<?xi32>) {
  %x = slm.embedding %t, #slm.weight<"e", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x31xf32>
  func.return
}
// -----
// CHECK: error: slm.linear: linear 32 -> 8 has a weight of shape (8, 31)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.linear %x, #slm.weight<"w", tensor<8x31xf32>> : tensor<?x32xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.linear: linear 32 -> 8 has a bias of shape (9,)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.linear %x, #slm.weight<"w", tensor<8x32xf32>> bias #slm.weight<"b", tensor<9xf32>> : tensor<?x32xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slm.rms_norm: rms_norm over 2 dimensions of
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.rms_norm %x, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 2 : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.rms_norm: rms_norm of {{.*}} has a weight of shape (31,)
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.rms_norm %x, #slm.weight<"w", tensor<31xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.rope: rotary of 8 dimensions on
func.func @f(%x: tensor<?x4x6xf32>) {
  %y = slm.rope %x, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x6xf32>
  func.return
}
// -----
// CHECK: <stdin>:4:{{[0-9]+}}: error: a rotary dimension is positive and even, found 7
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.rope %x, #slm.rotary<7, 10000.0, 256, 0, {}> : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.attention: attention takes q [T, H, hd], k and v [T, G, hd], found
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x3x8xf32>) {
  %y = slm.attention %q, %k, %k state "s" scale 1.000000e+00 : tensor<?x4x8xf32>, tensor<?x3x8xf32>, tensor<?x3x8xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.attention: a window is at least 1, found 0
func.func @f(%q: tensor<?x4x8xf32>, %k: tensor<?x2x8xf32>) {
  %y = slm.attention %q, %k, %k state "s" scale 1.000000e+00 window 0 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.activation: unknown activation "swish" (known:
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.activation "swish" %x : tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.add: slm.add of {{.*}} is {{.*}}, found
func.func @f(%x: tensor<?x32xf32>, %z: tensor<?x1xf32>) {
  %y = slm.add %x, %z : tensor<?x32xf32>, tensor<?x1xf32> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slm.mul: shapes {{.*}} do not go together
func.func @f(%x: tensor<?x32xf32>, %z: tensor<?x31xf32>) {
  %y = slm.mul %x, %z : tensor<?x32xf32>, tensor<?x31xf32> -> tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.layers: layers keep the types of their values
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.layers "layers" [0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    slm.yield %h : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x31xf32>
  func.return
}
// -----
// CHECK: error: slm.layers: layer kinds [0, 1] and 1 regions differ
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.layers "layers" [0, 1](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    slm.yield %h : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.layers: a layer region takes the values of the layers op
func.func @f(%x: tensor<?x32xf32>) {
  %y = slm.layers "layers" [0](%x) {
  ^bb0(%h: tensor<?x31xf32>):
    slm.yield %h : tensor<?x31xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return
}
// -----
// CHECK: error: slm.layers: a layer region yields the values of the layers op
func.func @f(%x: tensor<?x32xf32>, %z: tensor<?x31xf32>) {
  %y = slm.layers "layers" [0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    slm.yield %z : tensor<?x31xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return
}
