// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"}'
// Norms stay f32. Rows that are looked up by position say so, and the positions are gone; rows of tokens stay an embed.
// CHECK: func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
// CHECK-NEXT: %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
// CHECK-NEXT: %q = slmq.position_rows #slm.weight<"pos", tensor<66x32xf32>> as "bf16" offset 2 : tensor<?x32xf32>
// CHECK-NEXT: %s = slmq.sinusoid offset 2 : tensor<?x32xf32>
// CHECK-NEXT: %a = slmq.add %x, %q
// CHECK-NEXT: %b = slmq.add %a, %s
// CHECK-NEXT: %n = slmq.layer_norm %b, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
// CHECK-NEXT: %m = slmq.layer_norm %n, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
// CHECK-NEXT: func.return %m
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %p = slm.positions 2 : tensor<?xi32>
  %q = slm.embedding %p, #slm.weight<"pos", tensor<66x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %s = slm.sinusoid %p : tensor<?xi32> -> tensor<?x32xf32>
  %a = slm.add %x, %q : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %b = slm.add %a, %s : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
  %n = slm.layer_norm %b, #slm.weight<"w", tensor<32xf32>> bias #slm.weight<"b", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  %m = slm.layer_norm %n, #slm.weight<"w", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
  func.return %m : tensor<?x32xf32>
}
