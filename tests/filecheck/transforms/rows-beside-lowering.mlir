// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// Values are multiplied strip by strip; each turn of that loop loads some rows of queries and keys, too.
// CHECK: tile.weight {{.*}}key = "v"
// CHECK: %[[ROWS:[0-9]+]] = tile.alloc "loaded_rows" in "sram" bytes 2048
// CHECK: %[[STRIP:[0-9]+]] = tile.alloc "strip" in "sram" bytes 512
// CHECK: scf.for
// CHECK: tile.mm
// CHECK: tile.load
// CHECK: tile.view %[[ROWS]] in sram
// CHECK: tile.load
// CHECK: tile.load
// It works on those of the turn before, and puts the keys into the cache, before it finishes a strip.
// CHECK: tile.vred "sum"
// CHECK: tile.vred "sum"
// CHECK: tile.view kv + %{{[0-9]+}} + 0 as bf16 [16, %{{[0-9]+}}, 4, 1]
// CHECK-NEXT: tile.store
// CHECK: tile.view %[[STRIP]] in sram
// CHECK: tile.store
// CHECK-NOT: tile.alloc "loaded_rows"
// CHECK: tile.vsmx
builtin.module attributes {"tile.plan" = {context = 256 : i64, chunk = 16 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 1024 : i64, query_tile = 4 : i64, early = 32 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
  %b = slmq.round %x : tensor<?x64xf32> -> tensor<?x64xbf16>
  %q = slmq.matmul %b, #slm.weight<"q", tensor<4x16x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x4x16xf32>
  %k = slmq.matmul %b, #slm.weight<"k", tensor<4x16x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x4x16xf32>
  %v = slmq.matmul %b, #slm.weight<"v", tensor<4x16x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x4x16xf32>
  %vr = slmq.round %v : tensor<?x4x16xf32> -> tensor<?x4x16xbf16>
  %qn = slmq.rms_norm %q, #slm.weight<"qn", tensor<4x16xf32>> eps 1.000000e-05 offset 0.0 axes 2 : tensor<?x4x16xf32>
  %kn = slmq.rms_norm %k, #slm.weight<"kn", tensor<4x16xf32>> eps 1.000000e-05 offset 0.0 axes 2 : tensor<?x4x16xf32>
  %qr = slmq.round %qn : tensor<?x4x16xf32> -> tensor<?x4x16xbf16>
  %kr = slmq.round %kn : tensor<?x4x16xf32> -> tensor<?x4x16xbf16>
  %a = slmq.attention %qr, %kr, %vr state "s" : tensor<?x4x16xbf16>, tensor<?x4x16xbf16>, tensor<?x4x16xbf16> -> tensor<?x4x16xf32>
  %ar = slmq.round %a : tensor<?x4x16xf32> -> tensor<?x4x16xbf16>
  %l = slmq.matmul %ar, #slm.weight<"o", tensor<64x4x16xf32>> as "bf16" : tensor<?x4x16xbf16> -> tensor<?x64xf32>
  func.return %l : tensor<?x64xf32>
}
}
