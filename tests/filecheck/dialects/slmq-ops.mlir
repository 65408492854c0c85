// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: func.func @f(%0: tensor<?xi32>, %1: tensor<?x4x8xbf16>, %2: tensor<?x2x8xi8>, %3: tensor<?x1xf32>) -> tensor<1xi32> {
func.func @f(%0: tensor<?xi32>, %1: tensor<?x4x8xbf16>, %2: tensor<?x2x8xi8>, %3: tensor<?x1xf32>) -> tensor<1xi32> {
  // CHECK-NEXT: %4 = slmq.embed %0, #slm.weight<"embed", tensor<64x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
  %4 = slmq.embed %0, #slm.weight<"embed", tensor<64x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
  // CHECK-NEXT: %5 = slmq.rms_norm %4, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  %5 = slmq.rms_norm %4, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
  // CHECK-NEXT: %6, %7 = slmq.quantize %5 axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
  %6, %7 = slmq.quantize %5 axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
  // CHECK-NEXT: %8 = slmq.matmul %6 scale %7, #slm.weight<"q", tensor<32x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x4x8xf32>
  %8 = slmq.matmul %6 scale %7, #slm.weight<"q", tensor<32x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x4x8xf32>
  // CHECK-NEXT: %9 = slmq.rope %8, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x8xf32>
  %9 = slmq.rope %8, #slm.rotary<8, 10000.0, 256, 0, {}> : tensor<?x4x8xf32>
  // CHECK-NEXT: %10 = slmq.scale %9 by 2.500000e-01 : tensor<?x4x8xf32>
  %10 = slmq.scale %9 by 2.500000e-01 : tensor<?x4x8xf32>
  // CHECK-NEXT: %11 = slmq.round %10 : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
  %11 = slmq.round %10 : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
  // CHECK-NEXT: %12 = slmq.strips 32 {
  %12 = slmq.strips 32 {
    // CHECK-NEXT: %13 = slmq.matmul %5, #slm.weight<"up", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x32xf32>
    %13 = slmq.matmul %5, #slm.weight<"up", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %14 = slmq.activation "silu" %13 : tensor<?x32xf32>
    %14 = slmq.activation "silu" %13 : tensor<?x32xf32>
    // CHECK-NEXT: %15 = slmq.add %14, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %15 = slmq.add %14, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %16 = slmq.sub %15, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %16 = slmq.sub %15, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %17 = slmq.mul %16, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %17 = slmq.mul %16, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: %18 = slmq.div %17, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    %18 = slmq.div %17, %4 : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    // CHECK-NEXT: slmq.yield %18 : tensor<?x32xf32>
    slmq.yield %18 : tensor<?x32xf32>
  // CHECK-NEXT: } : tensor<?x32xf32>
  } : tensor<?x32xf32>
  // CHECK-NEXT: %19 = slmq.select_rows %12 : tensor<?x32xf32>
  %19 = slmq.select_rows %12 : tensor<?x32xf32>
  // CHECK-NEXT: %20 = slmq.sample %19 : tensor<?x32xf32> -> tensor<1xi32>
  %20 = slmq.sample %19 : tensor<?x32xf32> -> tensor<1xi32>
  // CHECK-NEXT: func.return %20 : tensor<1xi32>
  func.return %20 : tensor<1xi32>
// CHECK-NEXT: }
}
