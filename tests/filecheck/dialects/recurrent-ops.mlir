// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @f(%0: tensor<?x4x8xf32>, %1: tensor<?x32xf32>, %2: tensor<?x16xf32>) {
func.func @f(%0: tensor<?x4x8xf32>, %1: tensor<?x32xf32>, %2: tensor<?x16xf32>) {
  // CHECK-NEXT: %3 = slm.causal_conv %0, #slm.weight<"w", tensor<32x3xbf16>> bias #slm.weight<"b", tensor<32xf32>> state "layers.{i}.conv.0" : tensor<?x4x8xf32>
  %3 = slm.causal_conv %0, #slm.weight<"w", tensor<32x3xbf16>> bias #slm.weight<"b", tensor<32xf32>> state "layers.{i}.conv.0" : tensor<?x4x8xf32>
  // CHECK-NEXT: %4 = slm.tensor #slm.weight<"a", tensor<32x16xf32>> : tensor<32x16xf32>
  %4 = slm.tensor #slm.weight<"a", tensor<32x16xf32>> : tensor<32x16xf32>
  // CHECK-NEXT: %5 = slm.selective_scan %1, %1, %4, %2, %2 state "scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  %5 = slm.selective_scan %1, %1, %4, %2, %2 state "scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK-NEXT: %6 = slm.activation "softplus" %5 : tensor<?x32xf32>
  %6 = slm.activation "softplus" %5 : tensor<?x32xf32>
  // CHECK-NEXT: %7 = slmq.causal_conv %1, #slm.weight<"w", tensor<32x3xf32>> state "conv.0" : tensor<?x32xf32>
  %7 = slmq.causal_conv %1, #slm.weight<"w", tensor<32x3xf32>> state "conv.0" : tensor<?x32xf32>
  // CHECK-NEXT: %8 = slmq.selective_scan %1, %7, %4, %2, %2 state "scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  %8 = slmq.selective_scan %1, %7, %4, %2, %2 state "scan.1" : tensor<?x32xf32>, tensor<32x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
  // CHECK-NEXT: %9 = slmq.activation "softplus" %8 : tensor<?x32xf32>
  %9 = slmq.activation "softplus" %8 : tensor<?x32xf32>
  func.return
}
