package cost

// Card is one kind of accelerator, as the report prices it.
type Card struct {
	Name      string  // as --hardware names it
	Title     string  // for people
	USDPerH   float64 // price of an hour
	BF16, FP8 float64 // FLOPs a second; FP8 0 where there is none
	Bandwidth float64 // of its memory, bytes a second
	Network   float64 // of the FFN instance of 8 cards, bytes a second
}

// Cards are those of the report's table 4; the networks are 8 x 400 and 8 x 200 Gb/s.
var Cards = []Card{
	{"h800", "H800", 2, 9.89e14, 1.98e15, 3.35e12, 4e11},
	{"h20", "H20", 0.8, 1.48e14, 2.96e14, 4.00e12, 4e11},
	{"a800", "A800", 0.75, 3.12e14, 0, 2.00e12, 2e11},
	{"910b", "Ascend 910B", 0.67, 2.80e14, 0, 1.60e12, 2e11},
}

// FLOPs is what the card multiplies in a second: in FP8 where it can, else in BF16.
func (c Card) FLOPs() float64 {
	if c.FP8 > 0 {
		return c.FP8
	}
	return c.BF16
}

// Roofline is the FLOPs a byte from which computing and not memory bounds the card.
func (c Card) Roofline() float64 { return c.FLOPs() / c.Bandwidth }

// million tokens are what prices are given for.
const million = 1e6

// usdPerFLOP and usdPerByte are the unit prices U_flop and U_byte.
func (c Card) usdPerFLOP() float64 { return c.USDPerH / 3600 / c.FLOPs() }
func (c Card) usdPerByte() float64 { return c.USDPerH / 3600 / c.Bandwidth }

// AttentionUSD is the price of a million tokens' attention, max(FLOP_attn U_flop, Byte_kv U_byte) + FLOP_linear U_flop, and
// whether reading the cache is the larger of the two.
func (c Card) AttentionUSD(w Work) (usd float64, memoryBound bool) {
	compute, memory := w.AttentionFLOPs*c.usdPerFLOP(), w.KVBytes*c.usdPerByte()
	return million * (max(compute, memory) + w.LinearFLOPs*c.usdPerFLOP()), memory > compute
}

// FFNUSD is the price of a million tokens' FFN, FLOP_ffn U_flop: the batch is taken to be large enough to be bound by
// computing.
func (c Card) FFNUSD(w Work) float64 { return million * w.FFNFLOPs * c.usdPerFLOP() }

// budget is the time that all layers' traffic between attention and FFN may take: a third of 50 ms a token, in seconds.
const budget = 0.050 / 3

// MinSparsity is the least share S of active experts at which the network of the card keeps up with its FFN.
//
// With 8-bit weights B tokens give 2 B FLOPs a byte of weights, so that experts are busy from B_moe = FLOPs / (2 bandwidth S)
// tokens on; those exchange 3 d B_moe bytes a layer (8 bits out, 16 back), which must take at most a third of 50 ms over L
// layers: S >= 3 d L FLOPs / (2 bandwidth Network budget).
func (c Card) MinSparsity(m Config) float64 {
	return 3 * float64(m.DModel) * float64(m.NLayer) * c.FLOPs() / (2 * c.Bandwidth * c.Network * budget)
}

// Pairing is attention-FFN disaggregation (AFD): each of the two on its own cards.
type Pairing struct {
	Attention, FFN Card
	USD            float64 // of a million tokens; communication is taken to be hidden
}

// Cheapest pairs the cheapest card for attention with the cheapest for FFN; of equal ones the first wins. It wants at
// least one card.
func Cheapest(w Work, cards []Card) Pairing {
	p := Pairing{Attention: cards[0], FFN: cards[0]}
	for _, c := range cards[1:] {
		if attentionUSD(c, w) < attentionUSD(p.Attention, w) {
			p.Attention = c
		}
		if c.FFNUSD(w) < p.FFN.FFNUSD(w) {
			p.FFN = c
		}
	}
	p.USD = attentionUSD(p.Attention, w) + p.FFN.FFNUSD(w)
	return p
}

func attentionUSD(c Card, w Work) float64 {
	usd, _ := c.AttentionUSD(w)
	return usd
}
