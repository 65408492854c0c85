"""Our simulator beside a native runtime."""
