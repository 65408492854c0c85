// RUN: slmc opt --no-locations %s -p allocate-dram
// The experts of a layer are one thing, 3 x 128 bytes here: each begins on a granule. Layers follow one another.
// CHECK: tile.regions = {weight = 768 : i64,
// CHECK-SAME: tile.layer_table = array<i64: 0, 384>
// CHECK-SAME: size_bytes = 384 : i64, offsets = array<i64: 0, 384>
builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 64 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64}} {
  func.func @generate() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = tile.alloc "x" in "sram" bytes 120 : !tile.buffer
    %v = tile.view %b in sram + 0 as f32 [30, 1, 1, 1] strides [4, 0, 0, 0]
    scf.for %l = %c0 to %c2 step %c1 {
      %n = tile.weight {kind = "vector", key = "layers.{i}.experts.{e}.norm", rows = 1 : i64, columns = 30 : i64, offset = 0.000000e+00 : f64, experts = 3 : i64, layers = array<i64: 0, 1>} layer %l : index
      %m = tile.view weight + %n + 0 as f32 [30, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %m
    }
    func.return
  }
}
