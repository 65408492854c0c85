// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8-kv8"}'
// Queries are scaled; queries, keys and values have the scheme's attention format, whatever the cache of tokens has.
// CHECK: slmq.patches %pixels size 4
// CHECK: slmq.l2_normalize
// CHECK: %[[S:.*]] = slmq.scale %[[Q:.*]] by 5.000000e-01 : tensor<4x2x3xf32>
// CHECK-NEXT: %[[QR:.*]] = slmq.round %[[S]] : tensor<4x2x3xf32> -> tensor<4x2x3xbf16>
// CHECK-NEXT: %[[KR:.*]] = slmq.round %[[Q]] : tensor<4x2x3xf32> -> tensor<4x2x3xbf16>
// CHECK-NEXT: %[[VR:.*]] = slmq.round %[[Q]] : tensor<4x2x3xf32> -> tensor<4x2x3xbf16>
// CHECK-NEXT: slmq.full_attention %[[QR]], %[[KR]], %[[VR]] softcap 2.000000e+00
// CHECK: slmq.concat
// CHECK: slmq.replace %x, %places, %rows
// CHECK-NOT: slm.{{(patches|concat|l2_normalize|full_attention|replace)}}
func.func @encode_image(%pixels: tensor<3x9x8xf32>) -> tensor<8x6xf32> {
  %p = slm.patches %pixels size 4 : tensor<3x9x8xf32> -> tensor<4x3x4x4xf32>
  %e = slm.linear %p, #slm.weight<"patch", tensor<6x48xf32>> : tensor<4x3x4x4xf32> -> tensor<4x6xf32>
  %n = slm.l2_normalize %e : tensor<4x6xf32>
  %q = slm.linear %n, #slm.weight<"q", tensor<6x6xf32>> : tensor<4x6xf32> -> tensor<4x2x3xf32>
  %a = slm.full_attention %q, %q, %q scale 0.5 softcap 2.0 : tensor<4x2x3xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32> -> tensor<4x2x3xf32>
  %o = slm.linear %a, #slm.weight<"o", tensor<6x6xf32>> : tensor<4x2x3xf32> -> tensor<4x6xf32>
  %c = slm.concat %o, %e : tensor<4x6xf32>, tensor<4x6xf32> -> tensor<8x6xf32>
  func.return %c : tensor<8x6xf32>
}
func.func @forward(%x: tensor<?x6xf32>, %places: tensor<?xi32>, %rows: tensor<8x6xf32>) -> tensor<?x6xf32> {
  %y = slm.replace %x, %places, %rows : tensor<?x6xf32>, tensor<?xi32>, tensor<8x6xf32>
  func.return %y : tensor<?x6xf32>
}
