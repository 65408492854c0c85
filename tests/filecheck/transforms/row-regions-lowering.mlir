// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// With values in DRAM a turn loads its rows, then works on those of the turn before, in the other half of the buffers.
// CHECK: %[[BUFFER:[0-9]+]] = tile.alloc "loaded_rows" in "sram" bytes 2048
// CHECK: scf.for %[[FIRST:[0-9]+]] = %{{.*}} iter_args(%[[TURN:[0-9]+]] =
// CHECK-NEXT: %[[MORE:[0-9]+]] = arith.cmpi slt, %[[FIRST]],
// CHECK-NEXT: scf.if %[[MORE]] {
// CHECK: %[[HALF:[0-9]+]] = arith.muli %[[TURN]],
// CHECK-NEXT: %[[ROWS:[0-9]+]] = tile.view %[[BUFFER]] in sram + %[[HALF]]
// CHECK: tile.load %[[ROWS]],
// CHECK-NEXT: }
// CHECK-NEXT: %[[OTHER:[0-9]+]] = arith.subi %{{[0-9]+}}, %[[TURN]]
// CHECK-NEXT: %[[LOADED:[0-9]+]] = arith.cmpi ne, %[[FIRST]],
// CHECK-NEXT: scf.if %[[LOADED]] {
// CHECK-NEXT: arith.subi %[[FIRST]],
// CHECK: %[[OTHER_HALF:[0-9]+]] = arith.muli %[[OTHER]],
// CHECK: tile.view %[[BUFFER]] in sram + %[[OTHER_HALF]]
// CHECK: tile.vred "sum"
// CHECK: scf.yield %[[OTHER]]
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 16 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 1024 : i64, query_tile = 4 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
  %n = slmq.rms_norm %x, #slm.weight<"norm", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  %r = slmq.round %n : tensor<?x64xf32> -> tensor<?x64xbf16>
  %y = slmq.matmul %r, #slm.weight<"up", tensor<64x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x64xf32>
  %z = slmq.add %x, %y : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  %m = slmq.rms_norm %z, #slm.weight<"norm2", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  %s = slmq.round %m : tensor<?x64xf32> -> tensor<?x64xbf16>
  %l = slmq.matmul %s, #slm.weight<"head", tensor<64x64xf32>> as "bf16" : tensor<?x64xbf16> -> tensor<?x64xf32>
  func.return %l : tensor<?x64xf32>
}
}
