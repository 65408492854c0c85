// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @f() {
func.func @f() {
  // CHECK-NEXT: %0 = tile.alloc "b" in "sram" bytes 4096 at 0 : !tile.buffer
  %0 = tile.alloc "b" in "sram" bytes 4096 at 0 : !tile.buffer
  // CHECK-NEXT: %1 = tile.view %0 in sram + 0 as f32 [4, 2, 1, 1] strides [4, 16, 0, 0]
  %1 = tile.view %0 in sram + 0 as f32 [4, 2, 1, 1] strides [4, 16, 0, 0]
  // CHECK-NEXT: %2 = tile.view %0 in sram + 64 as i8 [64, 2, 1, 1] strides [1, 64, 0, 0]
  %2 = tile.view %0 in sram + 64 as i8 [64, 2, 1, 1] strides [1, 64, 0, 0]
  // CHECK-NEXT: %3 = tile.view %0 in sram + 256 as i4 group 32 sparse [64, 4, 1, 1] strides [0, 24, 0, 0]
  %3 = tile.view %0 in sram + 256 as i4 group 32 sparse [64, 4, 1, 1] strides [0, 24, 0, 0]
  // CHECK-NEXT: %4 = tile.view %0 in sram + 512 as f16 [2, 4, 1, 1] strides [2, 4, 0, 0]
  %4 = tile.view %0 in sram + 512 as f16 [2, 4, 1, 1] strides [2, 4, 0, 0]
  // CHECK-NEXT: %5 = tile.view weight + 256 as i4 group 128 [128, 4, 1, 1] strides [0, 64, 0, 0]
  %5 = tile.view weight + 256 as i4 group 128 [128, 4, 1, 1] strides [0, 64, 0, 0]
  // CHECK-NEXT: %6 = tile.view %0 in sram + 256 as i8 sparse [64, 4, 1, 1] strides [1, 40, 0, 0]
  %6 = tile.view %0 in sram + 256 as i8 sparse [64, 4, 1, 1] strides [1, 40, 0, 0]
  // CHECK-NEXT: %7 = tile.view %0 in sram + 1024 as i4 group 32 blocked [64, 4, 1, 1] strides [0, 512, 0, 0]
  %7 = tile.view %0 in sram + 1024 as i4 group 32 blocked [64, 4, 1, 1] strides [0, 512, 0, 0]
  // CHECK-NEXT: tile.mmg %1, %2, %3 scales %4
  tile.mmg %1, %2, %3 scales %4
  // CHECK-NEXT: tile.mmg %1, %2, %3 scales %4 accumulate
  tile.mmg %1, %2, %3 scales %4 accumulate
  // CHECK-NEXT: tile.mmg %1, %2, %7 scales %4
  tile.mmg %1, %2, %7 scales %4
  // CHECK-NEXT: tile.mm %1, %2, %6
  tile.mm %1, %2, %6
  // CHECK-NEXT: %8 = tile.view %0 in sram + 1024 as e2m1 group 32 blocked [64, 4, 1, 1] strides [0, 512, 0, 0]
  %8 = tile.view %0 in sram + 1024 as e2m1 group 32 blocked [64, 4, 1, 1] strides [0, 512, 0, 0]
  // CHECK-NEXT: %9 = tile.view %0 in sram + 2048 as e4m3 group 32 [64, 4, 1, 1] strides [1, 64, 0, 0]
  %9 = tile.view %0 in sram + 2048 as e4m3 group 32 [64, 4, 1, 1] strides [1, 64, 0, 0]
  // CHECK-NEXT: %10 = tile.view %0 in sram + 3072 as e8m0 blocked [2, 4, 1, 1] strides [0, 32, 0, 0]
  %10 = tile.view %0 in sram + 3072 as e8m0 blocked [2, 4, 1, 1] strides [0, 32, 0, 0]
  // CHECK-NEXT: tile.mmg %1, %2, %8 scales %10
  tile.mmg %1, %2, %8 scales %10
  // CHECK-NEXT: tile.mmg %1, %2, %9 scales %10
  tile.mmg %1, %2, %9 scales %10
  // CHECK-NEXT: func.return
  func.return
// CHECK-NEXT: }
}
