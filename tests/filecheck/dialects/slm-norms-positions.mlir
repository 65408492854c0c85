// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: func.func @f(%0: tensor<?x32xf32>, %1: tensor<?x4x8xf32>, %2: tensor<?xi32>) -> tensor<?x32xf32> {
func.func @f(%0: tensor<?x32xf32>, %1: tensor<?x4x8xf32>, %2: tensor<?xi32>) -> tensor<?x32xf32> {
  // CHECK-NEXT: %3 = slm.layer_norm %0, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  %3 = slm.layer_norm %0, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  // CHECK-NEXT: %4 = slm.layer_norm %3, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  %4 = slm.layer_norm %3, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  // CHECK-NEXT: %5 = slm.layer_norm %1, #slm.weight<"heads", tensor<4x8xf32>> bias #slm.weight<"bias", tensor<4x8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  %5 = slm.layer_norm %1, #slm.weight<"heads", tensor<4x8xf32>> bias #slm.weight<"bias", tensor<4x8xf32>> eps 1.000000e-05 axes 1 per 1 : tensor<?x4x8xf32>
  // CHECK-NEXT: %6 = slm.rms_norm %5, #slm.weight<"heads", tensor<4x8xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  %6 = slm.rms_norm %5, #slm.weight<"heads", tensor<4x8xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 per 1 : tensor<?x4x8xf32>
  // CHECK-NEXT: %7 = slm.layer_norm %6, #slm.weight<"both", tensor<32xf32>> eps 1.000000e-05 axes 2 : tensor<?x4x8xf32>
  %7 = slm.layer_norm %6, #slm.weight<"both", tensor<32xf32>> eps 1.000000e-05 axes 2 : tensor<?x4x8xf32>
  // CHECK-NEXT: %8 = slm.positions 2 : tensor<?xi32>
  %8 = slm.positions 2 : tensor<?xi32>
  // CHECK-NEXT: %9 = slm.embedding %8, #slm.weight<"pos", tensor<66x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %9 = slm.embedding %8, #slm.weight<"pos", tensor<66x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  // CHECK-NEXT: %10 = slm.sinusoid %8 : tensor<?xi32> -> tensor<?x32xf32>
  %10 = slm.sinusoid %8 : tensor<?xi32> -> tensor<?x32xf32>
  // CHECK-NEXT: %11 = slm.add %9, %10 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %11 = slm.add %9, %10 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: func.return %11 : tensor<?x32xf32>
  func.return %11 : tensor<?x32xf32>
// CHECK-NEXT: }
}
