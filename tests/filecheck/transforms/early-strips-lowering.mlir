// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// Beside its last strip a loop loads the first two strips of the next one, before it finishes the strip in front.
// CHECK: %[[WEIGHTS:[0-9]+]] = tile.alloc "weights" in "sram" bytes 4096
// CHECK: tile.mm
// CHECK: %[[LAST:[0-9]+]] = arith.cmpi eq,
// CHECK-NEXT: scf.if %[[LAST]] {
// CHECK: tile.view %[[WEIGHTS]] in sram
// CHECK: tile.load
// CHECK: tile.load
// CHECK: tile.store
// Rows are multiplied with both as soon as there are 32 of them, and behind the last one.
// CHECK: %[[PRODUCTS:[0-9]+]] = tile.alloc "products"
// CHECK-NEXT: tile.alloc "row_numbers"
// CHECK-NEXT: tile.alloc "loaded_rows"
// CHECK: tile.vred "amax"
// CHECK: arith.remsi
// CHECK: arith.remsi
// CHECK: %[[FULL:[0-9]+]] = arith.cmpi eq,
// CHECK-NEXT: scf.if %[[FULL]] {
// CHECK: tile.view %[[PRODUCTS]] in sram
// CHECK: tile.mm
// CHECK: tile.mm
// The loop over strips begins with the third one.
// CHECK: scf.for %[[FIRST:[0-9]+]] =
// CHECK: %[[LATER:[0-9]+]] = arith.cmpi sge, %[[FIRST]],
// CHECK-NEXT: scf.if %[[LATER]] {
// CHECK: tile.mm
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 2048 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, early = 2 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x64xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x64xf32>> as "bf16" : tensor<?xi32> -> tensor<?x64xf32>
  %n, %ns = slmq.quantize %x axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
  %y = slmq.matmul %n scale %ns, #slm.weight<"up", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
  %z = slmq.add %x, %y : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  %q, %qs = slmq.quantize %z axes 1 : tensor<?x64xf32> -> tensor<?x64xi8>, tensor<?x1xf32>
  %l = slmq.matmul %q scale %qs, #slm.weight<"down", tensor<64x64xf32>> as "i8" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x64xf32>
  %r = slmq.add %z, %l : tensor<?x64xf32>, tensor<?x64xf32> -> tensor<?x64xf32>
  func.return %r : tensor<?x64xf32>
}
}
