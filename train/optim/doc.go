// Package optim has what moves a store's weights by their gradients: AdamW with states in 32 or 8 bits, the norm of all gradients,
// the schedule of the learning rate, and averages of the weights. It knows no network, no task and no loop.
//
//	o := optim.New(cfg, store)
//	optim.UpdateAll(o, grads, step, optim.ScheduleOf(cfg).At(step-1), scale)
//
// Loshchilov and Hutter 2019 (AdamW), Dettmers et al. 2022 (states in 8 bits), Loshchilov and Hutter 2017 and Hu et al. 2024
// (schedules), Polyak and Juditsky 1992 (averages).
package optim
