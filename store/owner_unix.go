//go:build unix

package store

import (
	"os"
	"syscall"
)

// ownLike gives files to the user who has the folder: who restores may be root, and
// the program that has to open them is not.
func ownLike(folder string, files ...string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return nil
	}
	for _, file := range files {
		if err := os.Chown(file, int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	return nil
}
