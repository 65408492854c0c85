// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"}'
// Every matrix product gets its number format, and so do keys, values and the embedding table.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xbf16>> as "f32" : tensor<?xi32> -> tensor<?x32xf32>
// CHECK-NEXT: %q = slmq.matmul %x, #slm.weight<"q", tensor<32x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x4x8xf32>
// CHECK-NEXT: %k = slmq.matmul %x, #slm.weight<"k", tensor<16x32xf32>> as "f32" : tensor<?x32xf32> -> tensor<?x2x8xf32>
// CHECK-NEXT: %a = slmq.scale %q by 2.500000e-01 : tensor<?x4x8xf32>
// CHECK-NEXT: %a_1 = slmq.attention %a, %k, %k state "s" : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
// CHECK-NEXT: %y = slmq.matmul %a_1, #slm.weight<"head", tensor<64x32xf32>> as "f32" : tensor<?x4x8xf32> -> tensor<?x64xf32>
// CHECK-NEXT: func.return %y : tensor<?x64xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  %q = slm.linear %x, #slm.weight<"q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
  %k = slm.linear %x, #slm.weight<"k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
  %a = slm.attention %q, %k, %k state "s" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  %y = slm.linear %a, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x4x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
