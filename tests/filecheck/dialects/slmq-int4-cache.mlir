// RUN: slmc opt --no-locations %s
// RUN: slmc opt --generic %s | slmc opt --no-locations -
// CHECK: func.func @f(%0: tensor<?x4x8xbf16>, %1: tensor<?x2x8xbf16>) -> tensor<?x4x8xf32> {
func.func @f(%0: tensor<?x4x8xbf16>, %1: tensor<?x2x8xbf16>) -> tensor<?x4x8xf32> {
  // CHECK-NEXT: %2 = slmq.attention %0, %1, %1 state "s" int4 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  %2 = slmq.attention %0, %1, %1 state "s" int4 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  // CHECK-NEXT: %3 = slmq.attention %0, %1, %1 state "t" int4 window 20 softcap 3.000000e+00 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  %3 = slmq.attention %0, %1, %1 state "t" int4 window 20 softcap 3.000000e+00 : tensor<?x4x8xbf16>, tensor<?x2x8xbf16>, tensor<?x2x8xbf16> -> tensor<?x4x8xf32>
  func.return %3 : tensor<?x4x8xf32>
}
