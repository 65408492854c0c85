// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @encode_image(%0: tensor<3x9x8xf32>) -> tensor<7x12xf32> {
func.func @encode_image(%0: tensor<3x9x8xf32>) -> tensor<7x12xf32> {
  // CHECK-NEXT: %1 = slm.patches %0 size 4 : tensor<3x9x8xf32> -> tensor<4x3x4x4xf32>
  %1 = slm.patches %0 size 4 : tensor<3x9x8xf32> -> tensor<4x3x4x4xf32>
  // CHECK-NEXT: %2 = slm.linear %1, #slm.weight<"patch", tensor<12x48xf32>> : tensor<4x3x4x4xf32> -> tensor<4x12xf32>
  %2 = slm.linear %1, #slm.weight<"patch", tensor<12x48xf32>> : tensor<4x3x4x4xf32> -> tensor<4x12xf32>
  // CHECK-NEXT: %3 = slm.l2_normalize %2 : tensor<4x12xf32>
  %3 = slm.l2_normalize %2 : tensor<4x12xf32>
  // CHECK-NEXT: %4 = slm.tensor #slm.weight<"latents", tensor<3x12xf32>> : tensor<3x12xf32>
  %4 = slm.tensor #slm.weight<"latents", tensor<3x12xf32>> : tensor<3x12xf32>
  // CHECK-NEXT: %5 = slm.concat %3, %4 : tensor<4x12xf32>, tensor<3x12xf32> -> tensor<7x12xf32>
  %5 = slm.concat %3, %4 : tensor<4x12xf32>, tensor<3x12xf32> -> tensor<7x12xf32>
  // CHECK-NEXT: %6 = slm.linear %5, #slm.weight<"q", tensor<12x12xf32>> : tensor<7x12xf32> -> tensor<7x4x3xf32>
  %6 = slm.linear %5, #slm.weight<"q", tensor<12x12xf32>> : tensor<7x12xf32> -> tensor<7x4x3xf32>
  // CHECK-NEXT: %7 = slm.linear %3, #slm.weight<"k", tensor<6x12xf32>> : tensor<4x12xf32> -> tensor<4x2x3xf32>
  %7 = slm.linear %3, #slm.weight<"k", tensor<6x12xf32>> : tensor<4x12xf32> -> tensor<4x2x3xf32>
  // CHECK-NEXT: %8 = slm.full_attention %6, %7, %7 scale 5.000000e-01 softcap 2.000000e+00 : tensor<7x4x3xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32> -> tensor<7x4x3xf32>
  %8 = slm.full_attention %6, %7, %7 scale 5.000000e-01 softcap 2.000000e+00 : tensor<7x4x3xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32> -> tensor<7x4x3xf32>
  // CHECK-NEXT: %9 = slm.full_attention %8, %7, %7 scale 1.000000e+00 : tensor<7x4x3xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32> -> tensor<7x4x3xf32>
  %9 = slm.full_attention %8, %7, %7 scale 1.000000e+00 : tensor<7x4x3xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32> -> tensor<7x4x3xf32>
  // CHECK-NEXT: %10 = slm.linear %9, #slm.weight<"o", tensor<12x12xf32>> : tensor<7x4x3xf32> -> tensor<7x12xf32>
  %10 = slm.linear %9, #slm.weight<"o", tensor<12x12xf32>> : tensor<7x4x3xf32> -> tensor<7x12xf32>
  func.return %10 : tensor<7x12xf32>
}
// CHECK: func.func @forward(%0: tensor<?x12xf32>, %1: tensor<?xi32>, %2: tensor<7x12xf32>) -> tensor<?x12xf32> {
func.func @forward(%0: tensor<?x12xf32>, %1: tensor<?xi32>, %2: tensor<7x12xf32>) -> tensor<?x12xf32> {
  // CHECK-NEXT: %3 = slm.replace %0, %1, %2 : tensor<?x12xf32>, tensor<?xi32>, tensor<7x12xf32>
  %3 = slm.replace %0, %1, %2 : tensor<?x12xf32>, tensor<?xi32>, tensor<7x12xf32>
  // CHECK-NEXT: %4 = slmq.replace %3, %1, %2 : tensor<?x12xf32>, tensor<?xi32>, tensor<7x12xf32>
  %4 = slmq.replace %3, %1, %2 : tensor<?x12xf32>, tensor<?xi32>, tensor<7x12xf32>
  func.return %4 : tensor<?x12xf32>
}
// CHECK: func.func @exact(%0: tensor<3x9x8xf32>, %1: tensor<4x2x3xbf16>) -> tensor<8x12xf32> {
func.func @exact(%0: tensor<3x9x8xf32>, %1: tensor<4x2x3xbf16>) -> tensor<8x12xf32> {
  // CHECK-NEXT: %2 = slmq.patches %0 size 4 : tensor<3x9x8xf32> -> tensor<4x3x4x4xf32>
  %2 = slmq.patches %0 size 4 : tensor<3x9x8xf32> -> tensor<4x3x4x4xf32>
  // CHECK-NEXT: %3, %4 = slmq.rows(%2) {
  // CHECK-NEXT: ^bb0(%5: tensor<?x3x4x4xf32>):
  %3, %4 = slmq.rows(%2) {
  ^bb0(%5: tensor<?x3x4x4xf32>):
    // CHECK-NEXT: %6 = slmq.matmul %5
    %6 = slmq.matmul %5, #slm.weight<"patch", tensor<12x48xf32>> as "f32" : tensor<?x3x4x4xf32> -> tensor<?x12xf32>
    // CHECK-NEXT: %7 = slmq.l2_normalize %6 : tensor<?x12xf32>
    %7 = slmq.l2_normalize %6 : tensor<?x12xf32>
    // CHECK-NEXT: %8 = slmq.matmul %7
    %8 = slmq.matmul %7, #slm.weight<"q", tensor<12x12xf32>> as "f32" : tensor<?x12xf32> -> tensor<?x4x3xf32>
    // CHECK-NEXT: %9 = slmq.round %8
    %9 = slmq.round %8 : tensor<?x4x3xf32> -> tensor<?x4x3xbf16>
    // CHECK-NEXT: %10 = slmq.full_attention %9, %1, %1 softcap 3.000000e+00 : tensor<?x4x3xbf16>, tensor<4x2x3xbf16>, tensor<4x2x3xbf16> -> tensor<?x4x3xf32>
    %10 = slmq.full_attention %9, %1, %1 softcap 3.000000e+00 : tensor<?x4x3xbf16>, tensor<4x2x3xbf16>, tensor<4x2x3xbf16> -> tensor<?x4x3xf32>
    // CHECK-NEXT: slmq.yield %7, %10 : tensor<?x12xf32>, tensor<?x4x3xf32>
    slmq.yield %7, %10 : tensor<?x12xf32>, tensor<?x4x3xf32>
  // CHECK-NEXT: } : tensor<4x3x4x4xf32> -> tensor<4x12xf32>, tensor<4x4x3xf32>
  } : tensor<4x3x4x4xf32> -> tensor<4x12xf32>, tensor<4x4x3xf32>
  // CHECK-NEXT: %11 = slmq.concat %3, %3 : tensor<4x12xf32>, tensor<4x12xf32> -> tensor<8x12xf32>
  %11 = slmq.concat %3, %3 : tensor<4x12xf32>, tensor<4x12xf32> -> tensor<8x12xf32>
  func.return %11 : tensor<8x12xf32>
}
// CHECK: func.func @places() {
func.func @places() {
  // CHECK-NEXT: %0 = tile.scratch {name = "a", size_bytes = 64 : i64} : index
  %0 = tile.scratch {name = "a", size_bytes = 64 : i64} : index
  // CHECK-NEXT: %1 = tile.input {name = "pixels", size_bytes = 4 : i64} : index
  %1 = tile.input {name = "pixels", size_bytes = 4 : i64} : index
  func.return
}
