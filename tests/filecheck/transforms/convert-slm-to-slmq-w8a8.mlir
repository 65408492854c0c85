// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"}'
// Every matrix product gets its number format, and so do keys, values and the embedding table.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
// CHECK-NEXT: %q, %q_1 = slmq.quantize %x axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
// CHECK-NEXT: %q_2 = slmq.matmul %q scale %q_1, #slm.weight<"q", tensor<32x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x4x8xf32>
// CHECK-NEXT: %k, %k_1 = slmq.quantize %x axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
// CHECK-NEXT: %k_2 = slmq.matmul %k scale %k_1, #slm.weight<"k", tensor<16x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x2x8xf32>
// CHECK-NEXT: %a = slmq.scale %q_2 by 2.500000e-01 : tensor<?x4x8xf32>
// CHECK-NEXT: %a_1 = slmq.round %a : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
// CHECK-NEXT: %a_2 = slmq.round %k_2 : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
// CHECK-NEXT: %a_3 = slmq.round %k_2 : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
// CHECK-NEXT: %a_4 = slmq.attention %a_1, %a_2, %a_3 state "s" : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
// CHECK-NEXT: %y, %y_1 = slmq.quantize %a_4 axes 2 : tensor<?x4x8xf32> -> tensor<?x4x8xi8>, tensor<?x1xf32>
// CHECK-NEXT: %y_2 = slmq.matmul %y scale %y_1, #slm.weight<"head", tensor<64x32xf32>> as "i8" : tensor<?x4x8xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
// CHECK-NEXT: func.return %y_2 : tensor<?x64xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  %q = slm.linear %x, #slm.weight<"q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
  %k = slm.linear %x, #slm.weight<"k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
  %a = slm.attention %q, %k, %k state "s" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  %y = slm.linear %a, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x4x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
