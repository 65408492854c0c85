// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w4a8-zp"}'
// Products with offsets take the sums of their int8 input over the groups; 64 columns are a group by default.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x48xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x4x32xbf16>> as "bf16" : tensor<?xi32> -> tensor<?x4x32xf32>
// CHECK-NEXT: %y, %y_1 = slmq.quantize %x axes 2 : tensor<?x4x32xf32> -> tensor<?x4x32xi8>, tensor<?x1xf32>
// CHECK-NEXT: %y_2 = slmq.group_sums %y by 64 : tensor<?x4x32xi8> -> tensor<?x2xf32>
// CHECK-NEXT: %y_3 = slmq.matmul %y scale %y_1 sums %y_2, #slm.weight<"head", tensor<48x128xf32>> as "i4-g64-zp" bias #slm.weight<"b", tensor<48xf32>> : tensor<?x4x32xi8> scale tensor<?x1xf32> sums tensor<?x2xf32> -> tensor<?x48xf32>
// CHECK-NEXT: func.return %y_3 : tensor<?x48xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x48xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x4x32xbf16>> : tensor<?xi32> -> tensor<?x4x32xf32>
  %y = slm.linear %x, #slm.weight<"head", tensor<48x128xf32>> bias #slm.weight<"b", tensor<48xf32>> : tensor<?x4x32xf32> -> tensor<?x48xf32>
  func.return %y : tensor<?x48xf32>
}
