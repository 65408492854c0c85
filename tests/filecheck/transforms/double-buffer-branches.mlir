// RUN: slmc opt --no-locations %s -p double-buffer
// Both branches of a turn may run, and their engines overlap: the buffer is kept outside of the loop around them. Branches that
// exclude each other, as those of kinds of layers, keep theirs inside.
// CHECK: tile.alloc "tiles" in "sram" bytes 2048 : !tile.buffer
// CHECK-NEXT: scf.for %i
// CHECK: scf.for %k
// CHECK-NEXT: arith.cmpi
// CHECK-NEXT: scf.if
// CHECK: tile.alloc "one" in "sram" bytes 2048 : !tile.buffer
// CHECK: else
// CHECK: tile.alloc "other" in "sram" bytes 2048 : !tile.buffer
func.func @generate() {
  %c0 = arith.constant 0 : index
  %c4 = arith.constant 4 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %c4 step %c1 {
    %first = arith.cmpi eq, %i, %c0 : index
    scf.if %first {
      scf.for %j = %c0 to %c4 step %c1 {
        %b = tile.alloc "tiles" in "sram" bytes 1024 stream : !tile.buffer
        %v = tile.view %b in sram + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        %w = tile.view weight + %j + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        tile.load %v, %w
      }
    }
  }
  scf.for %k = %c0 to %c4 step %c1 {
    %kind = arith.cmpi eq, %k, %c0 : index
    scf.if %kind {
      scf.for %j = %c0 to %c4 step %c1 {
        %b = tile.alloc "one" in "sram" bytes 1024 stream : !tile.buffer
        %v = tile.view %b in sram + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        %w = tile.view weight + %j + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        tile.load %v, %w
      }
    } else {
      scf.for %j = %c0 to %c4 step %c1 {
        %b = tile.alloc "other" in "sram" bytes 1024 stream : !tile.buffer
        %v = tile.view %b in sram + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        %w = tile.view weight + %j + 0 as u8 [1024, 1, 1, 1] strides [1, 0, 0, 0]
        tile.load %v, %w
      }
    }
  }
  func.return
}
