// RUN: not slmc opt %s
// CHECK: error: slm.tensor: a weight of [4, 8] has no values [8, 4]
func.func @f() {
  %y = slm.tensor #slm.weight<"s", tensor<4x8xf32>> : tensor<8x4xf32>
  func.return
}
// -----
// CHECK: error: slmq.tensor: the values of this weight are tensor<4x8xf32>, found tensor<32xf32>
func.func @f() {
  %y = slmq.tensor #slm.weight<"s", tensor<4x8xf32>> : tensor<32xf32>
  func.return
}
// -----
// CHECK: error: slmq.tensor: the values of this weight are tensor<4xf32>, found tensor<4xbf16>
func.func @f() {
  %y = slmq.tensor #slm.weight<"s", tensor<4xbf16>> : tensor<4xbf16>
  func.return
}
