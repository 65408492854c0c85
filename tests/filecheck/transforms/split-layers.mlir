// RUN: slmc opt --no-locations %s -p 'split-layers{scheme="w8a8" rules="layers.1.*=i4-g32:bf16"},convert-slm-to-slmq{scheme="w8a8" rules="layers.1.*=i4-g32:bf16"}'
// The rule names layer 1, which becomes a kind of its own.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed.weight", tensor<32x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
// CHECK-NEXT: %o = slm.layers "layers" [0, 1, 0](%x) {
// CHECK-NEXT: ^bb0(%h: tensor<?x64xf32>):
// CHECK-NEXT: %u, %u_1 = slmq.quantize %h axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
// CHECK-NEXT: %u_2 = slmq.matmul %u scale %u_1, #slm.weight<"layers.{i}.up.weight", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
// CHECK-NEXT: slm.yield %u_2 : tensor<?x64xf32>
// CHECK-NEXT: } {
// CHECK-NEXT: ^bb0(%h_1: tensor<?x64xf32>):
// CHECK-NEXT: %u_3 = slmq.round %h_1 : tensor<?x64xf32> -> tensor<?x64xbf16>
// CHECK-NEXT: %u_4 = slmq.matmul %u_3, #slm.weight<"layers.{i}.up.weight", tensor<64x64xf32>> as "i4-g32" : tensor<?x64xbf16> -> tensor<?x64xf32>
// CHECK-NEXT: slm.yield %u_4 : tensor<?x64xf32>
// CHECK-NEXT: } : tensor<?x64xf32> -> tensor<?x64xf32>
// CHECK-NEXT: %r, %r_1 = slmq.quantize %o axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
// CHECK-NEXT: %r_2 = slmq.matmul %r scale %r_1, #slm.weight<"head.weight", tensor<32x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
// CHECK-NEXT: func.return %r_2 : tensor<?x32xf32>
// CHECK-NEXT: }
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed.weight", tensor<32x64xf32>> : tensor<?xi32> -> tensor<?x64xf32>
  %o = slm.layers "layers" [0, 0, 0](%x) {
  ^bb0(%h: tensor<?x64xf32>):
    %u = slm.linear %h, #slm.weight<"layers.{i}.up.weight", tensor<64x64xf32>> : tensor<?x64xf32> -> tensor<?x64xf32>
    slm.yield %u : tensor<?x64xf32>
  } : tensor<?x64xf32> -> tensor<?x64xf32>
  %r = slm.linear %o, #slm.weight<"head.weight", tensor<32x64xf32>> : tensor<?x64xf32> -> tensor<?x32xf32>
  func.return %r : tensor<?x32xf32>
}
