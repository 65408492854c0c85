// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: func.func @forward(%0: tensor<?xi32>) -> tensor<?x64xf32> {
func.func @forward(%0: tensor<?xi32>) -> tensor<?x64xf32> {
  // CHECK-NEXT: %1 = slm.embedding %0, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  %1 = slm.embedding %0, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  // CHECK-NEXT: %2 = slm.layers "layers" [0, 1, 0](%1) {
  %2 = slm.layers "layers" [0, 1, 0](%1) {
  // CHECK-NEXT: ^bb0(%3: tensor<?x32xf32>):
  ^bb0(%3: tensor<?x32xf32>):
    // CHECK-NEXT: %4 = slm.rms_norm %3, #slm.weight<"layers.{i}.norm", tensor<32xf32>> eps 1.000000e-05 offset 1.000000e+00 axes 1 : tensor<?x32xf32>
    %4 = slm.rms_norm %3, #slm.weight<"layers.{i}.norm", tensor<32xf32>> eps 1.000000e-05 offset 1.000000e+00 axes 1 : tensor<?x32xf32>
    // CHECK-NEXT: %5 = slm.linear %4, #slm.weight<"layers.{i}.q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
    %5 = slm.linear %4, #slm.weight<"layers.{i}.q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
    // CHECK-NEXT: %6 = slm.linear %4, #slm.weight<"layers.{i}.k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
    %6 = slm.linear %4, #slm.weight<"layers.{i}.k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
    // CHECK-NEXT: %7 = slm.rope %5, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x8xf32>
    %7 = slm.rope %5, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x8xf32>
    // CHECK-NEXT: %8 = slm.attention %7, %6, %6 state "layers.{i}.attention.0" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
    %8 = slm.attention %7, %6, %6 state "layers.{i}.attention.0" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
    // CHECK-NEXT: %9 = slm.linear %8, #slm.weight<"layers.{i}.o", tensor<32x32xf32>> : tensor<?x4x8xf32> -> tensor<?x32xf32>
    %9 = slm.linear %8, #slm.weight<"layers.{i}.o", tensor<32x32xf32>> : tensor<?x4x8xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %10 = slm.add %3, %9 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %10 = slm.add %3, %9 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: slm.yield %10 : tensor<?x32xf32>
    slm.yield %10 : tensor<?x32xf32>
  // CHECK-NEXT: } {
  } {
  // CHECK-NEXT: ^bb0(%11: tensor<?x32xf32>):
  ^bb0(%11: tensor<?x32xf32>):
    // CHECK-NEXT: %12 = slm.activation "silu" %11 : tensor<?x32xf32>
    %12 = slm.activation "silu" %11 : tensor<?x32xf32>
    // CHECK-NEXT: %13 = slm.mul %12, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %13 = slm.mul %12, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %14 = slm.sub %13, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %14 = slm.sub %13, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %15 = slm.div %14, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %15 = slm.div %14, %11 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: slm.yield %15 : tensor<?x32xf32>
    slm.yield %15 : tensor<?x32xf32>
  // CHECK-NEXT: } : tensor<?x32xf32> -> tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  // CHECK-NEXT: %16 = slm.linear %2, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x32xf32> -> tensor<?x64xf32>
  %16 = slm.linear %2, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x32xf32> -> tensor<?x64xf32>
  // CHECK-NEXT: func.return %16 : tensor<?x64xf32>
  func.return %16 : tensor<?x64xf32>
// CHECK-NEXT: }
}
