package kernel

func pauseBurst() {
	for i := 0; i < 64; i++ {
		thePool.epoch.Load()
	}
}
