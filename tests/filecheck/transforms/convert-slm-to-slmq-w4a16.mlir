// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w4a16-g32-s24"}'
// Weights in int4, inputs in bf16, which have no scale.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x48xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x4x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x4x32xf32>
// CHECK-NEXT: %y = slmq.round %x : tensor<?x4x32xf32> -> tensor<?x4x32xbf16>
// CHECK-NEXT: %y_1 = slmq.matmul %y, #slm.weight<"head", tensor<48x128xf32>> as "i4-g32-s24" bias #slm.weight<"b", tensor<48xf32>> : tensor<?x4x32xbf16> -> tensor<?x48xf32>
// CHECK-NEXT: func.return %y_1 : tensor<?x48xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x48xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x4x32xbf16>> : tensor<?xi32> -> tensor<?x4x32xf32>
  %y = slm.linear %x, #slm.weight<"head", tensor<48x128xf32>> bias #slm.weight<"b", tensor<48xf32>> : tensor<?x4x32xf32> -> tensor<?x48xf32>
  func.return %y : tensor<?x48xf32>
}
