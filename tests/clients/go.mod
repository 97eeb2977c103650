// Tests of `model serve` by clients that others wrote. They are a module of their own, so that these are not ours.
module sparrow/tests/clients

go 1.26.0

// OpenAI's client. Apache-2.0, active (November 2026).
require github.com/openai/openai-go/v3 v3.98.0

require github.com/chromedp/chromedp v0.23.0

require (
	github.com/chromedp/cdproto v0.159.0 // indirect
	github.com/coder/websocket v1.8.15 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/tidwall/gjson v1.20.0 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.1 // indirect
	github.com/tidwall/sjson v1.2.5 // indirect
)
