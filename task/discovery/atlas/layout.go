package atlas

import "html/template"

var layout = template.Must(template.New("atlas").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66em; margin: 2em auto; padding: 0 1em; color: #262626; background: #fff; }
h1 { font-size: 1.3em; } h2 { font-size: 1.1em; margin-top: 2em; } h3 { font-size: 1em; margin: 1.4em 0 0.3em; }
.two { display: flex; flex-wrap: wrap; gap: 2em; align-items: flex-start; }
.two > * { flex: 1 1 24em; min-width: 0; }
svg { width: 100%; height: auto; border: 1px solid #ddd; }
table { border-collapse: collapse; } th { font-weight: normal; color: #666; text-align: left; padding: 0.1em 1em 0.1em 0; vertical-align: top; }
td { overflow-wrap: anywhere; }
.domain { display: flex; align-items: center; gap: 0.8em; margin: 0.2em 0; }
.domain b { font-weight: normal; width: 9em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; text-align: right; color: #444; }
.bars { position: relative; flex: 1; height: 1.2em; background: #eee; } .bars i { position: absolute; top: 0; height: 100%; }
.key { display: inline-block; width: 0.9em; height: 0.9em; border-radius: 50%; margin-right: 0.35em; vertical-align: -0.1em; }
.legend span { margin-right: 1.2em; white-space: nowrap; }
ul { padding-left: 1.2em; margin: 0.2em 0; } li { margin: 0.25em 0; overflow-wrap: anywhere; } small { color: #666; }
.pictures { display: flex; flex-wrap: wrap; gap: 0.8em; } figure { margin: 0; text-align: center; } figure img { width: 72px; height: 72px; image-rendering: pixelated; border: 1px solid #ddd; }
.note { border-left: 4px solid #d55e00; padding-left: 0.8em; }
footer { color: #666; margin-top: 3em; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
{{range .Notes}}<p class="note">{{.}}.</p>
{{end}}<p class="legend">{{range .Legend}}<span><i class="key" style="background:{{.Colour}}"></i>{{.Name}}{{if .Truth}} ({{.Truth}}){{end}}</span>{{end}}</p>
<div class="two">
<div>
<h2>Where the examples lie</h2>
<svg viewBox="0 0 100 100" role="img" aria-label="examples as points between the corners of the classes">
{{range .Points}}<circle cx="{{.X}}" cy="{{.Y}}" r="0.55" fill="{{.Colour}}" fill-opacity="0.45"><title>{{.Name}}</title></circle>
{{end}}{{range .Corners}}<circle cx="{{.X}}" cy="{{.Y}}" r="2" fill="{{.Colour}}" stroke="#fff" stroke-width="0.6"><title>{{.Name}}</title></circle>
{{end}}</svg>
<p><small>Each point is an example, at what the network says of its domain; large points are the corners, where an example would be of one class alone.{{if .Left}} {{.Left}} more examples are not drawn.{{end}}</small></p>
</div>
<div>
<h2>What was measured</h2>
<table>
{{range .Facts}}<tr><th scope="row">{{.Name}}</th><td>{{.Value}}</td></tr>
{{end}}</table>
</div>
</div>
<h2>Shares of the classes by domain</h2>
{{range .Domains}}<div class="domain"><b title="{{.Name}}">{{.Name}}</b><div class="bars">{{range .Bars}}<i style="left:{{.X}};width:{{.Width}};background:{{.Colour}}" title="{{.Text}}"></i>{{end}}</div></div>
{{end}}{{if .More}}<p><small>{{.More}} more domains are in domains.tsv.</small></p>
{{end}}<h2>Examples</h2>
{{range .Classes}}<h3><i class="key" style="background:{{.Colour}}"></i>{{.Name}}{{if .Truth}}, mostly {{.Truth}}{{end}} <small>{{.Share}} of all, purity {{.Purity}}</small></h3>
{{if .Examples}}{{if (index .Examples 0).Image}}<div class="pictures">{{range .Examples}}<figure><img src="{{.Image}}" alt="an example"><figcaption><small>{{.Domain}}<br>{{.P}}</small></figcaption></figure>{{end}}</div>
{{else}}<ul>{{range .Examples}}<li>{{.Text}} <small>({{.Domain}}, {{.P}})</small></li>
{{end}}</ul>
{{end}}{{else}}<p>none</p>
{{end}}{{end}}<footer>The classes were found from the domains alone. Their numbers go by size, and mean nothing else.</footer>
</body>
</html>
`))
