// RUN: slmc opt --no-locations %s -p 'add-sampling,fuse-strips,group-rows,convert-slmq-to-tile,canonicalize,cse'
// The result of a product whose input is quantised late has a norm behind it. It stays where the sums are, strip after strip, and the norm
// reads some rows at a time there.
// CHECK: tile.alloc "last_columns"
// CHECK: tile.store
// CHECK: %[[SUMS:[0-9]+]] = tile.alloc "products"
// CHECK-NEXT: tile.alloc "row_numbers"
// CHECK-NEXT: tile.alloc "tiles"
// CHECK: tile.mm {{.*}}accumulate
// CHECK-NOT: tile.store
// CHECK: tile.alloc "norm_weight"
// CHECK-NOT: tile.vun "mov"
// CHECK: %[[IN:[0-9]+]] = tile.view %[[SUMS]] in sram + %{{[0-9]+}} + 0 as f32 [16, %{{[0-9]+}}, 2, 1]
// CHECK: tile.vbin "mul" %{{[0-9]+}}, %[[IN]], %[[IN]]
// CHECK: tile.vred "sum"
// CHECK: tile.vbin "mul" %{{[0-9]+}}, %[[IN]], %{{[0-9]+}}
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, wide_tile = 16 : i64, staying = 1 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
  %y = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    %n, %ns = slmq.quantize %h axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
    %u = slmq.matmul %n scale %ns, #slm.weight<"up", tensor<48x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x48xf32>
    %a = slmq.activation "relu" %u : tensor<?x48xf32>
    %q, %qs = slmq.quantize %a axes 1 : tensor<?x48xf32> -> tensor<?x48xi8>, tensor<?x1xf32>
    %d = slmq.matmul %q scale %qs, #slm.weight<"down", tensor<32x48xf32>> as "i8" : tensor<?x48xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
    %m = slmq.rms_norm %d, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 offset 0.0 axes 1 : tensor<?x32xf32>
    %r = slmq.add %h, %m : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
}
// -----
// A layer norm sums up rows: they are copied first.
// CHECK: tile.alloc "last_columns"
// CHECK: tile.store
// CHECK: %[[SUMS:[0-9]+]] = tile.alloc "products"
// CHECK-NEXT: tile.alloc "row_numbers"
// CHECK-NEXT: tile.alloc "tiles"
// CHECK: tile.mm {{.*}}accumulate
// CHECK-NOT: tile.store
// CHECK: tile.alloc "norm_weight"
// CHECK: tile.view %[[SUMS]] in sram
// CHECK-NEXT: tile.vun "mov"
// CHECK: tile.vred "sum"
builtin.module attributes {"tile.plan" = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 512 : i64, kv_heads = 1 : i64, key_tile = 64 : i64, array_rows = 16 : i64, buffers = 2 : i64, spill_bytes = 1024 : i64, row_bytes = 4096 : i64, query_tile = 4 : i64, wide_tile = 16 : i64, staying = 1 : i64}} {
func.func @forward(%tokens: tensor<?xi32>) -> tensor<?x32xf32> {
  %x = slmq.embed %tokens, #slm.weight<"embed", tensor<64x32xf32>> as "bf16" : tensor<?xi32> -> tensor<?x32xf32>
  %y = slm.layers "layers" [0, 0](%x) {
  ^bb0(%h: tensor<?x32xf32>):
    %n, %ns = slmq.quantize %h axes 1 : tensor<?x32xf32> -> tensor<?x32xi8>, tensor<?x1xf32>
    %u = slmq.matmul %n scale %ns, #slm.weight<"up", tensor<48x32xf32>> as "i8" : tensor<?x32xi8> scale tensor<?x1xf32> -> tensor<?x48xf32>
    %a = slmq.activation "relu" %u : tensor<?x48xf32>
    %q, %qs = slmq.quantize %a axes 1 : tensor<?x48xf32> -> tensor<?x48xi8>, tensor<?x1xf32>
    %d = slmq.matmul %q scale %qs, #slm.weight<"down", tensor<32x48xf32>> as "i8" : tensor<?x48xi8> scale tensor<?x1xf32> -> tensor<?x32xf32>
    %m = slmq.layer_norm %d, #slm.weight<"norm", tensor<32xf32>> eps 1.000000e-05 axes 1 : tensor<?x32xf32>
    %r = slmq.add %h, %m : tensor<?x32xf32>, tensor<?x32xf32> -> tensor<?x32xf32>
    slm.yield %r : tensor<?x32xf32>
  } : tensor<?x32xf32> -> tensor<?x32xf32>
  func.return %y : tensor<?x32xf32>
}
}
