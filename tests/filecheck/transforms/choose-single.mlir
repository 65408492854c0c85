// RUN: slmc opt --no-locations %s -p 'convert-slm-to-slmq{scheme="w8a8"},add-sampling,fuse-strips,group-rows,choose-tiling{sram_bytes=65536 context=512},choose-single{sram_bytes=65536}'
// One token: whole blocks of keys of all heads, strips and spans of its own, and weights that are loaded before their time.
// CHECK: tile.plan = {context = 512 : i64, chunk = [[CHUNK:[0-9]+]] : i64, strip_bytes = [[STRIP:[0-9]+]] : i64, {{.*}}, ahead = 0 : i64, token_strip_bytes = 0 : i64, span_bytes = 0 : i64, early = 0 : i64, kept = 0 : i64, wide_tile = 0 : i64, tokens = 0 : i64, expert_rows = 0 : i64, expert_stream_rows = 0 : i64, staying = 0 : i64}
// CHECK-SAME: tile.single = {context = 512 : i64, chunk = 1 : i64, strip_bytes = [[STRIP]] : i64, kv_heads = 1 : i64, key_tile = 256 : i64,
// CHECK-SAME: spill_bytes = 0 : i64
// CHECK-SAME: ahead = 1 : i64, token_strip_bytes = 512 : i64, span_bytes = 2048 : i64, early = 0 : i64, kept = 0 : i64, wide_tile = 0 : i64, tokens = 0 : i64, expert_rows = 0 : i64, expert_stream_rows = 0 : i64, staying = 0 : i64}
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slm.embedding %tokens, #slm.weight<"embed", tensor<64x32xbf16>> : tensor<?xi32> -> tensor<?x32xf32>
  %q = slm.linear %x, #slm.weight<"q", tensor<32x32xf32>> : tensor<?x32xf32> -> tensor<?x4x8xf32>
  %k = slm.linear %x, #slm.weight<"k", tensor<16x32xf32>> : tensor<?x32xf32> -> tensor<?x2x8xf32>
  %a = slm.attention %q, %k, %k state "s" scale 2.500000e-01 : tensor<?x4x8xf32>, tensor<?x2x8xf32>, tensor<?x2x8xf32> -> tensor<?x4x8xf32>
  %y = slm.linear %a, #slm.weight<"head", tensor<64x32xf32>> : tensor<?x4x8xf32> -> tensor<?x64xf32>
  func.return %y : tensor<?x64xf32>
}
