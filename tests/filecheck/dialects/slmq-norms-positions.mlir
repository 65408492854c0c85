// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: func.func @f(%0: tensor<?x32xf32>, %1: tensor<?x4x8xf32>, %2: tensor<?xi32>) -> tensor<?x32xf32> {
func.func @f(%0: tensor<?x32xf32>, %1: tensor<?x4x8xf32>, %2: tensor<?xi32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: %3 = slmq.layer_norm %0, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  %3 = slmq.layer_norm %0, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  // CHECK-NEXT: %4 = slmq.layer_norm %3, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  %4 = slmq.layer_norm %3, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  // CHECK-NEXT: %5 = slmq.layer_norm %1, #slm.weight<"heads", tensor<4x8xf32>> bias #slm.weight<"bias", tensor<4x8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  %5 = slmq.layer_norm %1, #slm.weight<"heads", tensor<4x8xf32>> bias #slm.weight<"bias", tensor<4x8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  // CHECK-NEXT: %6 = slmq.rms_norm %5, #slm.weight<"heads", tensor<4x8xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  %6 = slmq.rms_norm %5, #slm.weight<"heads", tensor<4x8xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  // CHECK-NEXT: %7 = slmq.layer_norm %6, #slm.weight<"both", tensor<32xf32>> eps 1.000000e-05 axes 2 : tensor<?x4x8xf32>
  %7 = slmq.layer_norm %6, #slm.weight<"both", tensor<32xf32>> eps 1.000000e-05 axes 2 : tensor<?x4x8xf32>
  // CHECK-NEXT: %8 = slmq.position_rows #slm.weight<"pos", tensor<66x32xf32>> as "bf16" offset 2 : tensor<?x32xf32>
  %8 = slmq.position_rows #slm.weight<"pos", tensor<66x32xf32>> as "bf16" offset 2 : tensor<?x32xf32>
  // CHECK-NEXT: %9 = slmq.sinusoid offset 2 : tensor<?x32xf32>
  %9 = slmq.sinusoid offset 2 : tensor<?x32xf32>
  // CHECK-NEXT: %10 = slmq.add %8, %9 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %10 = slmq.add %8, %9 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: func.return %10 : tensor<?x32xf32>
  func.return %10 : tensor<?x32xf32>
// CHECK-NEXT: }
}
