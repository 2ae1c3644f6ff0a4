package script

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
)

const inlineMap = "//# sourceMappingURL=data:application/json;base64,"

// countFromOne moves the columns of a bundle's inline source map, which begin at
// 0 as such maps say, to begin at 1: those of the code because goja looks them up
// so, those of the scripts because people and editors count so.
func countFromOne(code string) (string, error) {
	before, data, found := strings.Cut(code, inlineMap)
	if !found {
		return code, nil
	}
	data, after, _ := strings.Cut(data, "\n")
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		return "", fmt.Errorf("the source map: %w", err)
	}
	var sourceMap map[string]json.RawMessage
	var mappings string
	if err := json.Unmarshal(text, &sourceMap); err != nil {
		return "", fmt.Errorf("the source map: %w", err)
	}
	if err := json.Unmarshal(sourceMap["mappings"], &mappings); err != nil {
		return "", fmt.Errorf("the source map: %w", err)
	}
	if sourceMap["mappings"], err = json.Marshal(moveColumns(mappings)); err != nil {
		return "", fmt.Errorf("the source map: %w", err)
	}
	if text, err = json.Marshal(sourceMap); err != nil {
		return "", fmt.Errorf("the source map: %w", err)
	}
	return before + inlineMap + base64.StdEncoding.EncodeToString(text) + "\n" + after, nil
}

// moveColumns adds 1 to every column of the mappings. Each number is a
// difference: a line's first segment begins the columns of the code anew, and the
// first of all begins those of the scripts.
func moveColumns(mappings string) string {
	lines := strings.Split(mappings, ";")
	first := true
	for i, line := range lines {
		segment, rest, more := strings.Cut(line, ",")
		if segment == "" {
			continue
		}
		fields := readVLQ(segment)
		fields[0]++
		if first && len(fields) > 3 {
			fields[3]++
			first = false
		}
		if lines[i] = writeVLQ(fields); more {
			lines[i] += "," + rest
		}
	}
	return strings.Join(lines, ";")
}

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// readVLQ reads numbers of variable length: five bits a digit, the lowest first,
// with a sixth where more follow; the lowest bit of all is the sign.
func readVLQ(s string) (numbers []int) {
	n, shift := 0, 0
	for i := range len(s) {
		digit := strings.IndexByte(base64Digits, s[i])
		n |= (digit & 31) << shift
		shift += 5
		if digit&32 != 0 {
			continue
		}
		if n&1 != 0 {
			n = -n
		}
		numbers = append(numbers, n/2)
		n, shift = 0, 0
	}
	return numbers
}

func writeVLQ(numbers []int) string {
	var b strings.Builder
	for _, n := range numbers {
		if n *= 2; n < 0 {
			n = -n | 1
		}
		for ; n > 31; n >>= 5 {
			b.WriteByte(base64Digits[n&31|32])
		}
		b.WriteByte(base64Digits[n])
	}
	return b.String()
}
