// Package interactions reads who chose what: files of pairs of a user and an item, with ratings and times if there are, and files
// with fields of users and items. It splits them by time, by chance, by users or by items. It knows no network and no recommender.
//
//	d, err := interactions.Source{Ratings: "ratings.csv", Split: "ratio", TestShare: 0.2}.Read(ctx)
//	seen := d.Train.Row(0)  // items of the first user, ascending
//
// Which question a split asks differs: one by time asks what a user wants next, one by chance what else fits (Meng et al. 2020).
package interactions
