// RUN: slmc opt --no-locations %s -p allocate-dram
// What all layers share gets a constant address; what each layer has gets a column of the layer table in SMEM.
// CHECK: tile.regions = {weight = 8448 : i64, kv = 0 : i64, table = 0 : i64, io = 256 : i64, scratch = 0 : i64}
// CHECK-SAME: tile.layer_table = array<i64: 8192, 8320>
// CHECK-SAME: size_bytes = 8192 : i64, offsets = array<i64: 0>
// CHECK-SAME: size_bytes = 128 : i64, offsets = array<i64: 8192, 8320>
// CHECK: %[[TABLE:.*]] = tile.alloc "layer_table" in "smem" bytes 16 : !tile.buffer
// CHECK: %e = arith.constant 0 : index
// CHECK-NEXT: %w = tile.view weight + %e + 0
// CHECK: scf.for %l =
// CHECK-NEXT: %[[RECORD:.*]] = arith.constant 8 : index
// CHECK-NEXT: %[[PLACE:.*]] = arith.muli %l, %[[RECORD]] : index
// CHECK-NEXT: %[[NORM:.*]] = tile.lds 8 of %[[TABLE]] at %[[PLACE]] + 0 : index
// CHECK-NEXT: %m = tile.view weight + %[[NORM]] + 0
// CHECK-NOT: tile.weight
builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64}} {
  func.func @generate() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = tile.alloc "x" in "sram" bytes 128 : !tile.buffer
    %v = tile.view %b in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    %e = tile.weight {kind = "rows", key = "embed", format = "f32", rows = 64 : i64, columns = 32 : i64} : index
    %w = tile.view weight + %e + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    tile.load %v, %w
    scf.for %l = %c0 to %c2 step %c1 {
      %n = tile.weight {kind = "vector", key = "layers.{i}.norm", rows = 1 : i64, columns = 32 : i64, offset = 0.000000e+00 : f64, layers = array<i64: 0, 1>} layer %l : index
      %m = tile.view weight + %n + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %m
    }
    func.return
  }
}
