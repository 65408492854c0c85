// RUN: not slmc opt %s
// CHECK: error: slm.layer_norm: layer_norm over 1 dimensions per 2 of [?, 4, 8]
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.layer_norm %x, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 per 2 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.layer_norm: layer_norm of [?, 4, 8] has a weight of shape (8,)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.layer_norm %x, #slm.weight<"w", tensor<8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.layer_norm: layer_norm has a weight of (8,) and a bias of (7,)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.layer_norm %x, #slm.weight<"w", tensor<8xf32>> bias #slm.weight<"b", tensor<7xf32>> eps 1.000000e-05 axes 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.rms_norm: rms_norm of [?, 4, 8] has a weight of shape (4, 7)
func.func @f(%x: tensor<?x4x8xf32>) {
  %y = slm.rms_norm %x, #slm.weight<"w", tensor<4x7xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  func.return
}
// -----
// CHECK: error: slm.positions: positions start at 0 or more, found -1
func.func @f(%t: tensor<?xi32>) {
  %y = slm.positions -1 : tensor<?xi32>
  func.return
}
// -----
// CHECK: error: slm.positions: positions are tensor<?xi32>, found tensor<?xf32>
func.func @f(%t: tensor<?xi32>) {
  %y = slm.positions 0 : tensor<?xf32>
  func.return
}
// -----
// CHECK: error: slm.sinusoid: sinusoid of positions [?] gives [?, 2, 8]
func.func @f(%t: tensor<?xi32>) {
  %y = slm.sinusoid %t : tensor<?xi32> -> tensor<?x2x8xf32>
  func.return
}
// -----
// CHECK: error: slm.sinusoid: a sinusoid has an even number of columns, 4 or more, found 7
func.func @f(%t: tensor<?xi32>) {
  %y = slm.sinusoid %t : tensor<?xi32> -> tensor<?x7xf32>
  func.return
}
// -----
// CHECK: error: slm.sinusoid: a sinusoid has an even number of columns, 4 or more, found 2
func.func @f(%t: tensor<?xi32>) {
  %y = slm.sinusoid %t : tensor<?xi32> -> tensor<?x2xf32>
  func.return
}
