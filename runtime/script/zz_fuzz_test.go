package script
import ("testing";"github.com/nlnwa/whatwg-url/url")
func FuzzU(f *testing.F){
 for _,s:=range []string{"http://a/b?c#d","file:///c:/x","file:","mailto:x y?z","http://[::1]:80/..","blob:http://a","x:/..//"} { for _,r:=range []string{"","//x","?q","#h","/..","c|/","\\","a:b@c:1"} { f.Add(s,r) } }
 f.Fuzz(func(t *testing.T,a,b string){
  u,err:=url.Parse(a); if err!=nil {return}
  if v,err:=u.Parse(b); err==nil { v.Href(false); _ = v.Clone()}
  for _,set:=range []func(*url.Url,string){(*url.Url).SetProtocol,(*url.Url).SetUsername,(*url.Url).SetPassword,(*url.Url).SetHost,(*url.Url).SetHostname,(*url.Url).SetPort,(*url.Url).SetPathname,(*url.Url).SetSearch,(*url.Url).SetHash}{ c:=u.Clone(); set(c,b); h:=c.Href(false); c.Pathname(); _=h }
  x,err:=url.Parse(u.Href(false)); if err!=nil { t.Skip() }; if x.Href(false)!=u.Href(false) {t.Skip()}
 })
}
