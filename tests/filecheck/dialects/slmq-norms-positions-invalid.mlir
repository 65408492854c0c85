// RUN: not slmc opt %s
// CHECK: error: slmq.layer_norm: layer_norm over 1 dimensions per 2 of [?, 4, 8]
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slmq.layer_norm %x, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 per 2 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.layer_norm: layer_norm of [?, 4, 8] has a weight of shape (8,)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slmq.layer_norm %x, #slm.weight<"w", tensor<8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.layer_norm: layer_norm has a weight of (8,) and a bias of (7,)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slmq.layer_norm %x, #slm.weight<"w", tensor<8xf32>> bias #slm.weight<"b", tensor<7xf32>> eps 1.000000e-05 axes 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.rms_norm: rms_norm of [?, 4, 8] has a weight of shape (4, 7)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slmq.rms_norm %x, #slm.weight<"w", tensor<4x7xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.layer_norm: layer_norm works on f32, found tensor<?x8xbf16>
func.func @f(%x: tensor<?x8xbf16>) {
  %y = slmq.layer_norm %x, #slm.weight<"w", tensor<8xf32>> eps 1.000000e-05 axes 1 : tensor<?x8xbf16>
  func.return
}
// -----
// CHECK: error: slmq.position_rows: an embedding table is f32, f16 or bf16, found "i8"
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.position_rows #slm.weight<"p", tensor<66x8xf32>> as "i8" offset 2 : tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.position_rows: position_rows gives [?, 7] from a table of (66, 8)
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.position_rows #slm.weight<"p", tensor<66x8xf32>> as "f32" offset 2 : tensor<?x7xf32>
  func.return
}
// -----
// CHECK: error: slmq.position_rows: rows from 66 on, but the table is of shape (66, 8)
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.position_rows #slm.weight<"p", tensor<66x8xf32>> as "f32" offset 66 : tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.sinusoid: sinusoid gives f32 [T, d] from positions 0 or more, found tensor<?x8xf32>, -1
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.sinusoid offset -1 : tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.sinusoid: sinusoid gives f32 [T, d] from positions 0 or more, found tensor<?x8xbf16>, 0
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.sinusoid offset 0 : tensor<?x8xbf16>
  func.return
}
// -----
// CHECK: error: slmq.sinusoid: a sinusoid has an even number of columns, 4 or more, found 9
func.func @f(%t: tensor<?xi32>) {
  %y = slmq.sinusoid offset 0 : tensor<?x9xf32>
  func.return
}
