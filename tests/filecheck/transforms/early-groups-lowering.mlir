// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// The strips of a group are as large as those of the group in front: they go on in its buffers.
// CHECK: %[[PRODUCTS:[0-9]+]] = tile.alloc "products"
// CHECK: %[[WEIGHTS:[0-9]+]] = tile.alloc "weights"
// CHECK: %[[STRIP:[0-9]+]] = tile.view %[[WEIGHTS]] in sram + 0
// CHECK: tile.load %[[STRIP]],
// CHECK: scf.for
// CHECK: scf.if
// CHECK: tile.mm
// CHECK: %[[LAST:[0-9]+]] = arith.cmpi eq,
// CHECK-NEXT: scf.if %[[LAST]] {
// Behind its last strip the first one of the next group is loaded and multiplied, before the last one is finished.
// CHECK: tile.load %[[STRIP]],
// CHECK: tile.view %[[PRODUCTS]] in sram
// CHECK: tile.mm
// CHECK-NEXT: }
// CHECK: tile.store
// The loop of the next group begins with its second strip.
// CHECK-NOT: tile.alloc "products"
// CHECK-NOT: tile.alloc "weights"
// CHECK: scf.for %[[FIRST:[0-9]+]] =
// CHECK: %[[LATER:[0-9]+]] = arith.cmpi sge, %[[FIRST]],
// CHECK-NEXT: scf.if %[[LATER]] {
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, early = 64 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
  %n, %ns = slmq.quantize %x axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
  %y = slmq.matmul %n scale %ns, #slm.weight<"first", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
  %z = slmq.matmul %n scale %ns, #slm.weight<"second", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
  %t = slmq.rms_norm %y, #slm.weight<"t", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  %u = slmq.rms_norm %z, #slm.weight<"u", tensor<64xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x64xf32>
  %r = slmq.add %t, %u : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  func.return %r : tensor<?x64xf32>
}
}
