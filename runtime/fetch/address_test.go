package fetch

import (
	"net/netip"
	"strings"
	"testing"
)

func TestPublicAddresses(t *testing.T) {
	for addresses, want := range map[string]bool{
		"1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0":     true,
		"172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255": true,
		"2606:4700:4700::1111 2a00:1450:4001::200e 2001:4860:4860::8888 2001:200::1":                      true,
		"::ffff:8.8.8.8 64:ff9b::8.8.8.8": true,

		"0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.9.9.9":                              false,
		"169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1":                false,
		"198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9":                                                   false,
		"224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255":                                                  false,
		":: ::1 ::7f00:1 ::127.0.0.1 100::1 fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 5f00::1": false,
		"::ffff:127.0.0.1 ::ffff:10.1.2.3 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1":                           false,
		"64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8":                     false,
		"2002:7f00:1:: 2002:a00:1::1 2002:808:808::1":                                                          false,
		"2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:10::1 2001:db8::1 3fff::1 2606:4700::1%eth0":        false,
	} {
		for a := range strings.FieldsSeq(addresses) {
			if got := public(netip.MustParseAddr(a)); got != want {
				t.Errorf("public(%s) is %v", a, got)
			}
			if err := dialPublic("tcp", netip.AddrPortFrom(netip.MustParseAddr(a), 80).String(), nil); (err == nil) != want {
				t.Errorf("dialling %s: %v", a, err)
			}
		}
	}
	if public(netip.Addr{}) || dialPublic("tcp", "name:80", nil) == nil || dialPublic("unix", "/run/x", nil) == nil {
		t.Error("what is no address is public")
	}
}
