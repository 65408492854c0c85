// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @f(%0: tensor<?x2x32xi8>, %1: tensor<?x1xf32>, %2: tensor<?x64xbf16>, %3: tensor<?x64xf16>) {
func.func @f(%0: tensor<?x2x32xi8>, %1: tensor<?x1xf32>, %2: tensor<?x64xbf16>, %3: tensor<?x64xf16>) {
  // CHECK-NEXT: %4 = slmq.group_sums %0 by 64 : tensor<?x2x32xi8> -> tensor<?x1xf32>
  %4 = slmq.group_sums %0 by 64 : tensor<?x2x32xi8> -> tensor<?x1xf32>
  // CHECK-NEXT: %5 = slmq.matmul %0 scale %1 sums %4, #slm.weight<"w", tensor<8x64xf32>> as "i4-g64-zp" bias #slm.weight<"b", tensor<8xf32>> : tensor<?x2x32xi8> scale tensor<?x1xf32> sums tensor<?x1xf32> -> tensor<?x8xf32>
  %5 = slmq.matmul %0 scale %1 sums %4, #slm.weight<"w", tensor<8x64xf32>> as "i4-g64-zp" bias #slm.weight<"b", tensor<8xf32>> : tensor<?x2x32xi8> scale tensor<?x1xf32> sums tensor<?x1xf32> -> tensor<?x8xf32>
  // CHECK-NEXT: %6 = slmq.matmul %0 scale %1, #slm.weight<"w", tensor<8x64xf32>> as "i8-s24" : tensor<?x2x32xi8> scale tensor<?x1xf32> -> tensor<?x2x4xf32>
  %6 = slmq.matmul %0 scale %1, #slm.weight<"w", tensor<8x64xf32>> as "i8-s24" : tensor<?x2x32xi8> scale tensor<?x1xf32> -> tensor<?x2x4xf32>
  // CHECK-NEXT: %7 = slmq.group_sums %2 by 32 : tensor<?x64xbf16> -> tensor<?x2xf32>
  %7 = slmq.group_sums %2 by 32 : tensor<?x64xbf16> -> tensor<?x2xf32>
  // CHECK-NEXT: %8 = slmq.matmul %2 sums %7, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-zp" : tensor<?x64xbf16> sums tensor<?x2xf32> -> tensor<?x8xf32>
  %8 = slmq.matmul %2 sums %7, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-zp" : tensor<?x64xbf16> sums tensor<?x2xf32> -> tensor<?x8xf32>
  // CHECK-NEXT: %9 = slmq.matmul %3, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-s24" : tensor<?x64xf16> -> tensor<?x8xf32>
  %9 = slmq.matmul %3, #slm.weight<"w", tensor<8x64xf32>> as "i4-g32-s24" : tensor<?x64xf16> -> tensor<?x8xf32>
  // CHECK-NEXT: %10 = slmq.matmul %2, #slm.weight<"w", tensor<8x64xf32>> as "e2m1-g32" : tensor<?x64xbf16> -> tensor<?x8xf32>
  %10 = slmq.matmul %2, #slm.weight<"w", tensor<8x64xf32>> as "e2m1-g32" : tensor<?x64xbf16> -> tensor<?x8xf32>
  // CHECK-NEXT: %11 = slmq.matmul %3, #slm.weight<"w", tensor<8x64xf32>> as "e4m3-g32" : tensor<?x64xf16> -> tensor<?x8xf32>
  %11 = slmq.matmul %3, #slm.weight<"w", tensor<8x64xf32>> as "e4m3-g32" : tensor<?x64xf16> -> tensor<?x8xf32>
  // CHECK-NEXT: func.return
  func.return
// CHECK-NEXT: }
}
