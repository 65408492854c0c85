// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: builtin.module {
// CHECK-NEXT: func.func @generate() {
func.func @generate() {
  // CHECK-NEXT: %0 = tile.alloc "tokens" in "smem" bytes 512 : !tile.buffer
  %0 = tile.alloc "tokens" in "smem" bytes 512 : !tile.buffer
  // CHECK-NEXT: %1 = tile.alloc "weights" in "sram" bytes 2048 stream : !tile.buffer
  %1 = tile.alloc "weights" in "sram" bytes 2048 stream : !tile.buffer
  // CHECK-NEXT: %2 = tile.alloc "placed" in "sram" bytes 2048 at 4096 : !tile.buffer
  %2 = tile.alloc "placed" in "sram" bytes 2048 at 4096 : !tile.buffer
  // CHECK-NEXT: %3 = tile.lds 8 + 40 : index
  %3 = tile.lds 8 + 40 : index
  // CHECK-NEXT: %4 = tile.lds 4 of %0 at %3 + 4 : index
  %4 = tile.lds 4 of %0 at %3 + 4 : index
  // CHECK-NEXT: %5 = tile.weight {kind = "vector", key = "layers.{i}.norm"} layer %3 : index
  %5 = tile.weight {kind = "vector", key = "layers.{i}.norm"} layer %3 : index
  // CHECK-NEXT: %6 = tile.state {name = "layers.{i}.attention.0", part = "k"} layer %3 : index
  %6 = tile.state {name = "layers.{i}.attention.0", part = "k"} layer %3 : index
  // CHECK-NEXT: %7 = tile.table {kind = "rotary"} : index
  %7 = tile.table {kind = "rotary"} : index
  // CHECK-NEXT: %8 = tile.view %1 in sram + 0 as f32 [32, %4, 1, 1] strides [4, 128, 0, 0]
  %8 = tile.view %1 in sram + 0 as f32 [32, %4, 1, 1] strides [4, 128, 0, 0]
  // CHECK-NEXT: %9 = tile.view %2 in sram + %3 + 128 as f32 [32, %4, 1, 1] strides [4, %3, 0, 0]
  %9 = tile.view %2 in sram + %3 + 128 as f32 [32, %4, 1, 1] strides [4, %3, 0, 0]
  // CHECK-NEXT: %10 = tile.view weight + %5 + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
  %10 = tile.view weight + %5 + 0 as f32 [32, 1, 1, 1] strides [4, 0, 0, 0]
  // CHECK-NEXT: %11 = tile.view %0 in smem + 0 as f32 [1, 1, 1, 1] strides [8, 0, 0, 0]
  %11 = tile.view %0 in smem + 0 as f32 [1, 1, 1, 1] strides [8, 0, 0, 0]
  // CHECK-NEXT: tile.load %8, %10
  tile.load %8, %10
  // CHECK-NEXT: tile.store %10, %8
  tile.store %10, %8
  // CHECK-NEXT: tile.mm %9, %8, %8
  tile.mm %9, %8, %8
  // CHECK-NEXT: tile.mm %9, %8, %8 accumulate
  tile.mm %9, %8, %8 accumulate
  // CHECK-NEXT: tile.vbin "add" %9, %8, %8
  tile.vbin "add" %9, %8, %8
  // CHECK-NEXT: tile.vbin "mul" %9, %8 constant 5.000000e-01
  tile.vbin "mul" %9, %8 constant 5.000000e-01
  // CHECK-NEXT: tile.vbin "mul" %9, %8 scalar %4
  tile.vbin "mul" %9, %8 scalar %4
  // CHECK-NEXT: tile.vmad "mad" %9, %9, %8 by %8
  tile.vmad "mad" %9, %9, %8 by %8
  // CHECK-NEXT: tile.vmad "msub" %9, %9, %8 scalar %4
  tile.vmad "msub" %9, %9, %8 scalar %4
  // CHECK-NEXT: tile.vun "exp" %9, %8
  tile.vun "exp" %9, %8
  // CHECK-NEXT: tile.vun "mov" %9 constant 0xff800000
  tile.vun "mov" %9 constant 0xff800000
  // CHECK-NEXT: tile.vred "sum" %9, %8
  tile.vred "sum" %9, %8
  // CHECK-NEXT: tile.vtopk %11, %8 index %3
  tile.vtopk %11, %8 index %3
  // CHECK-NEXT: tile.vrng %8 counter %3, %4 key %3
  tile.vrng %8 counter %3, %4 key %3
  // CHECK-NEXT: tile.sts 8 %4 + 24
  tile.sts 8 %4 + 24
  // CHECK-NEXT: tile.sts 4 %4 of %0 at %3 + 4
  tile.sts 4 %4 of %0 at %3 + 4
  // CHECK-NEXT: tile.event 1 %4
  tile.event 1 %4
  // CHECK-NEXT: tile.mark 0 %4
  tile.mark 0 %4
  // CHECK-NEXT: tile.trap 7
  tile.trap 7
  // CHECK-NEXT: func.return
  func.return
// CHECK-NEXT: }
}
