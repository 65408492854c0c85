// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="bf16-kv4"}'
// Keys and values are appended in bf16; what becomes of whole blocks is the matter of the state.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
// CHECK-NEXT: %q = slmq.round %x : tensor<?x32xf32> -> tensor<?x32xbf16>
// CHECK-NEXT: %q_1 = slmq.matmul %q, #slm.weight<"q", tensor<32x32xf32>> as "bf16" : tensor<?x32xbf16> -> tensor<?x4x8xf32>
// CHECK-NEXT: %k = slmq.round %x : tensor<?x32xf32> -> tensor<?x32xbf16>
// CHECK-NEXT: %k_1 = slmq.matmul %k, #slm.weight<"k", tensor<16x32xf32>> as "bf16" : tensor<?x32xbf16> -> tensor<?x2x8xf32>
// CHECK-NEXT: %a = slmq.scale %q_1 by 2.500000e-01 : tensor<?x4x8xf32>
// CHECK-NEXT: %a_1 = slmq.round %a : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
// CHECK-NEXT: %a_2 = slmq.round %k_1 : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
// CHECK-NEXT: %a_3 = slmq.round %k_1 : tensor<?x2x8xf32> -> tensor<?x2x8xbf16>
// CHECK-NEXT: %a_4 = slmq.attention %a_1, %a_2, %a_3 state "s" int4 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
// CHECK-NEXT: %y = slmq.round %a_4 : tensor<?x4x8xf32> -> tensor<?x4x8xbf16>
// CHECK-NEXT: %y_1 = slmq.matmul %y, #slm.weight<"head", tensor<64x32xf32>> as "bf16" : tensor<?x4x8xbf16> -> tensor<?x64xf32>
// CHECK-NEXT: func.return %y_1 : tensor<?x64xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  %q = slm.linear %x, #slm.weight<"q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
  %k = slm.linear %x, #slm.weight<"k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
  %a = slm.attention %q, %k, %k state "s" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  %y = slm.linear %a, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x4x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
