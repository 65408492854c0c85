// RUN: not slmc opt %s
// CHECK: error: slmq.matmul: there is no weight format "i3"
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>) {
  %y = slmq.matmul %x scale %s, #slm.weight<"w", tensor<8x64xf32>> as "i3" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: int4 weights have groups of 32, 64, 128
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>) {
  %y = slmq.matmul %x scale %s, #slm.weight<"w", tensor<8x64xf32>> as "i4" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "i4-g32" does not go with tensor<?x64xf32>
func.func @f(%x: tensor<?x64xf32>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32" : tensor<?x64xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "e2m1-g32" does not go with tensor<?x64xi8>
func.func @f(%x: tensor<?x64xi8>, %s: tensor<?x1xf32>) {
  %y = slmq.matmul %x scale %s, #slm.weight<"w", tensor<8x64xf32>> as "e2m1-g32" : tensor<?x64xi8> scale tensor<?x1xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: weights in e4m3 have groups of 32
func.func @f(%x: tensor<?x64xbf16>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x64xf32>> as "e4m3-g64" : tensor<?x64xbf16> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "bf16" does not go with tensor<?x64xf16>
func.func @f(%x: tensor<?x64xf16>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x64xf32>> as "bf16" : tensor<?x64xf16> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "i4-g64": groups of 64 do not divide its 96 columns; groups of 32 would
func.func @f(%x: tensor<?x96xbf16>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x96xf32>> as "i4-g64" : tensor<?x96xbf16> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight as "i8-s24": 2:4 sparsity takes columns by eights, and it has 12
func.func @f(%x: tensor<?x3x4xbf16>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x12xf32>> as "i8-s24" : tensor<?x3x4xbf16> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: an i8 input, and only that, has a scale
func.func @f(%x: tensor<?x64xbf16>, %s: tensor<?x1xf32>) {
  %y = slmq.matmul %x scale %s, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32" : tensor<?x64xbf16> scale tensor<?x1xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight with offsets, and only that, takes the sums of its input
func.func @f(%x: tensor<?x64xbf16>) {
  %y = slmq.matmul %x, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-zp" : tensor<?x64xbf16> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: a weight with offsets, and only that, takes the sums of its input
func.func @f(%x: tensor<?x64xbf16>, %z: tensor<?x2xf32>) {
  %y = slmq.matmul %x sums %z, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32" : tensor<?x64xbf16> sums tensor<?x2xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: the sums of tensor<?x64xbf16> over groups of 32 are not tensor<?x3xf32>
func.func @f(%x: tensor<?x64xbf16>, %z: tensor<?x3xf32>) {
  %y = slmq.matmul %x sums %z, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-zp" : tensor<?x64xbf16> sums tensor<?x3xf32> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.group_sums: sums over groups of 32 of tensor<?x64xf32> are not defined
func.func @f(%x: tensor<?x64xf32>) {
  %y = slmq.group_sums %x by 32 : tensor<?x64xf32> -> tensor<?x2xf32>
  func.return
}
// -----
// CHECK: error: slmq.group_sums: sums over groups of 48 of tensor<?x64xbf16> are not defined
func.func @f(%x: tensor<?x64xbf16>) {
  %y = slmq.group_sums %x by 48 : tensor<?x64xbf16> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slmq.group_sums: sums over groups of 0 of tensor<?x64xbf16> are not defined
func.func @f(%x: tensor<?x64xbf16>) {
  %y = slmq.group_sums %x by 0 : tensor<?x64xbf16> -> tensor<?x1xf32>
  func.return
}
// -----
// CHECK: error: slmq.group_sums: sums over groups of 32 of tensor<?x2x32xi8> are not tensor<?x2xbf16>
func.func @f(%x: tensor<?x2x32xi8>) {
  %y = slmq.group_sums %x by 32 : tensor<?x2x32xi8> -> tensor<?x2xbf16>
  func.return
}
// -----
// CHECK: error: slmq.matmul: the sums of tensor<?x64xbf16> over groups of 32 are not tensor<?x2xi8>
func.func @f(%x: tensor<?x64xbf16>, %z: tensor<?x2xi8>) {
  %y = slmq.matmul %x sums %z, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-zp" : tensor<?x64xbf16> sums tensor<?x2xi8> -> tensor<?x8xf32>
  func.return
}
// -----
// CHECK: error: slmq.matmul: the scale of tensor<?x64xi8> is not tensor<?x5xi8>
func.func @f(%x: tensor<?x64xi8>, %z: tensor<?x5xi8>) {
  %y = slmq.matmul %x scale %z, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32" : tensor<?x64xi8> scale tensor<?x5xi8> -> tensor<?x8xf32>
  func.return
}
