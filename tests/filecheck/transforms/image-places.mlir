// RUN: slmc opt --no-locations %s -p 'allocate-dram,allocate-sram{size_bytes=1024}'
// Two functions share the regions, the state of the same name, and the layer table, which lies at the same address for both. Inputs of the
// host lie in IO behind the tokens (64 positions), the dump of logits behind them. SRAM and SMEM belong to the function that runs.
// CHECK: tile.regions = {weight = 768 : i64, kv = 128 : i64, table = 0 : i64, io = 512 : i64, scratch = 256 : i64}
// CHECK-SAME: tile.layer_table = array<i64: 0, 256, 128, 512>
// CHECK-SAME: tile.logits_offset = 512 : i64
// CHECK-SAME: tile.sram_usage = {used = 512 : i64, lower_bound = 512 : i64, size = 1024 : i64}
// CHECK: func.func @generate() {
// CHECK-NEXT: tile.alloc "layer_table" in "smem" bytes 32 at 256
// CHECK: tile.alloc "x" in "sram" bytes 128 at 0
// CHECK: tile.lds 8 of %{{.*}} at %{{.*}} + 0
// CHECK: tile.view kv + %k{{.*}} + 0
// CHECK: func.func @encode_image() {
// CHECK-NEXT: tile.alloc "layer_table" in "smem" bytes 32 at 256
// CHECK: tile.alloc "y" in "sram" bytes 512 at 0
// CHECK: %i = arith.constant 256 : index
// CHECK: %s = arith.constant 128 : index
// CHECK: tile.lds 8 of %{{.*}} at %{{.*}} + 8
builtin.module attributes {tile.plan = {context = 64 : i64, chunk = 1 : i64, strip_bytes = 4096 : i64, kv_heads = 1 : i64, key_tile = 64 : i64}} {
  func.func @generate() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = tile.alloc "x" in "sram" bytes 128 : !tile.buffer
    %v = tile.view %b in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    scf.for %l = %c0 to %c2 step %c1 {
      %n = tile.weight {kind = "vector", key = "layers.{i}.norm", rows = 1 : i64, columns = 32 : i64, offset = 0.0 : f64, layers = array<i64: 0, 1>} layer %l : index
      %m = tile.view weight + %n + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %m
    }
    %k = tile.state {name = "image", part = "rows", size_bytes = 128 : i64} : index
    %kv = tile.view kv + %k + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    tile.load %v, %kv
    func.return
  }
  func.func @encode_image() {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c2 = arith.constant 2 : index
    %b = tile.alloc "y" in "sram" bytes 512 : !tile.buffer
    %v = tile.view %b in sram + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    %i = tile.input {name = "pixels", size_bytes = 256 : i64} : index
    %p = tile.view io + %i + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    %a = tile.scratch {name = "a", size_bytes = 128 : i64} : index
    %s = tile.scratch {name = "b", size_bytes = 128 : i64} : index
    %t = tile.view scratch + %s + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    tile.load %v, %p
    tile.store %t, %v
    scf.for %l = %c0 to %c2 step %c1 {
      %n = tile.weight {kind = "vector", key = "eyes.{i}.norm", rows = 1 : i64, columns = 64 : i64, offset = 0.0 : f64, layers = array<i64: 0, 1>} layer %l : index
      %m = tile.view weight + %n + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
      tile.load %v, %m
    }
    %k = tile.state {name = "image", part = "rows", size_bytes = 128 : i64} : index
    %kv = tile.view kv + %k + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
    tile.store %kv, %v
    func.return
  }
}
