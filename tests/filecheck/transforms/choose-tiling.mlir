// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="fp32"},add-sampling,fuse-strips,choose-tiling{sram_bytes=65536 context=64}'
// The chunk is as large as the context, so nothing larger makes sense; the strips are what still fits.
// CHECK: builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 64 : i64, strip_bytes = {{[0-9]+}} : i64
// CHECK: slmq.strips
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xf32>> : tensor<?xi32> -> tensor<?x32xf32>
  %h = slm.layers "layers" [0, 0, 0](%x) {
  ^bb0(%l: tensor<?x32xf32>):
    %n = slm.rms_norm %l, #slm.weight<"layers.{i}.norm", tensor<32xf32>> eps 1.000000e-05 offset 0.000000e+00 axes 1 : tensor<?x32xf32>
    %u = slm.linear %n, #slm.weight<"layers.{i}.up", tensor<96x32xf32>> : tensor<?x32xf32> -> tensor<?x96xf32>
    %s = slm.activation "silu" %u : tensor<?x96xf32>
    %d = slm.linear %s, #slm.weight<"layers.{i}.down", tensor<32x96xf32>> : tensor<?x96xf32> -> tensor<?x32xf32>
    %r = slm.add %l, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  %y = slm.linear %h, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x32xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
