// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// The strips of `up` keep the largest number of each row, and write all columns to DRAM but the last 16 of 48.
// CHECK: %[[TAIL:[0-9]+]] = tile.alloc "last_columns" in "sram" bytes 4096
// CHECK: tile.mm
// CHECK: tile.vred "amax"
// CHECK-NEXT: tile.vbin "max"
// CHECK: arith.cmpi slt
// CHECK-NEXT: scf.if
// CHECK: tile.store
// CHECK: } else {
// CHECK: tile.view %[[TAIL]] in sram
// CHECK: tile.vun "mov"
// Scales are all that is left of the region: 127 / amax. The last columns are quantised first.
// CHECK: tile.vbin "div"
// CHECK: %[[SUMS:[0-9]+]] = tile.alloc "products" in "sram" bytes 8192
// CHECK: %[[TILES:[0-9]+]] = tile.alloc "tiles" in "sram" bytes 2048
// CHECK: tile.view %[[TAIL]] in sram
// CHECK: tile.vbin "mul"
// All strips are multiplied with them, while a part of the next tile is loaded and quantised.
// CHECK: scf.for
// CHECK: tile.mm %[[SUM:[0-9]+]], %[[X:[0-9]+]], %[[W:[0-9]+]]
// CHECK: arith.cmpi slt
// CHECK-NEXT: scf.if
// CHECK: tile.load
// CHECK: tile.vbin "mul"
// Then with the others, which are added; the strips are finished with the last one.
// CHECK: scf.for
// CHECK: tile.mm {{.*}}accumulate
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, wide_tile = 16 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
  %y = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    %n, %ns = slmq.quantize %h axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
    %u = slmq.matmul %n scale %ns, #slm.weight<"up", tensor<48x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x48xf32>
    %a = slmq.activation "relu" %u : tensor<?x48xf32>
    %q, %qs = slmq.quantize %a axes 1 : tensor<?x48xf32> -> tensor<?x48xi8>, tensor<?x1xf32>
    %d = slmq.matmul %q scale %qs, #slm.weight<"down", tensor<32x48xf32>> as "i8" : tensor<?x48xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
    %r = slmq.add %h, %d : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
}
