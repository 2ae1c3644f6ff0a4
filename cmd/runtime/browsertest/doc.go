// Package browsertest has only tests: they use the chat's page as people do, in
// Chromium, with the program as a process and a data folder of its own.
//
//	go test ./cmd/runtime/browsertest
//	go test ./cmd/runtime/browsertest -run Screenshots -screenshots DIR
//
// A server (server_test.go) is the program; it can be killed and started again on the
// same address. A window (window_test.go) is a tab of one browser that all tests share;
// each person has a profile of their own. A window notes what no test wants: an
// exception, a violation of the page's policy, a request to elsewhere, a dialog. The
// test that opened it fails then, whatever it looks at. page_test.go has what a person
// does and sees in it.
//
// Nothing waits for a time: a condition is looked at until it holds, with a deadline
// that only a failing test reaches. Every window has a goroutine of chromedp's; they end
// with the test, the browser with TestMain, and a look for left goroutines follows.
//
// Without Chromium the tests are skipped, and so is the one for accessibility where
// CHAT_AXE doesn't name axe-core's axe.min.js. With CHAT_REQUIRE_TOOLS=1, as in CI,
// what is missing is a failure.
package browsertest
