// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @f(%0: tensor<?x4x8xf32>) -> tensor<?x4x8xf32> {
func.func @f(%0: tensor<?x4x8xf32>) -> tensor<?x4x8xf32> {
  // CHECK-NEXT: %1 = slm.tensor #slm.weight<"layers.{i}.s", tensor<4x8xbf16>> : tensor<4x8xf32>
  %1 = slm.tensor #slm.weight<"layers.{i}.s", tensor<4x8xbf16>> : tensor<4x8xf32>
  // CHECK-NEXT: %2 = slm.mul %0, %1 : tensor<?x4x8xf32>, tensor<4x8xf32> -> tensor<?x4x8xf32>
  %2 = slm.mul %0, %1 : tensor<?x4x8xf32>, tensor<4x8xf32> -> tensor<?x4x8xf32>
  // CHECK-NEXT: %3 = slmq.tensor #slm.weight<"b", tensor<8xf16>> : tensor<8xf32>
  %3 = slmq.tensor #slm.weight<"b", tensor<8xf16>> : tensor<8xf32>
  // CHECK-NEXT: %4 = slmq.add %3, %2 : tensor<8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  %4 = slmq.add %3, %2 : tensor<8xf32>, tensor<?x4x8xf32> -> tensor<?x4x8xf32>
  func.return %4 : tensor<?x4x8xf32>
}
