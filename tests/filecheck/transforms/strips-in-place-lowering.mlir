// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// A sum of several products with rows in DRAM takes the place of these rows, though the last addition does not read them.
// CHECK: tile.scratch {name = "rows.rows.0"
// CHECK-NOT: tile.scratch
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 16 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 1024 : i64, query_tile = 4 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
  %r = slmq.round %x : tensor<?x64xf32> -> tensor<?x64xbf16>
  %y = slmq.matmul %r, #slm.weight<"up", tensor<64x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x64xf32>
  %g = slmq.matmul %r, #slm.weight<"gate", tensor<64x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x64xf32>
  %t = slmq.add %x, %y : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  %z = slmq.add %t, %g : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  %m = slmq.rms_norm %z, #slm.weight<"norm2", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  %s = slmq.round %m : tensor<?x64xf32> -> tensor<?x64xbf16>
  %l = slmq.matmul %s, #slm.weight<"head", tensor<64x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x64xf32>
  func.return %l : tensor<?x64xf32>
}
}
