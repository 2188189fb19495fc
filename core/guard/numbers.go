package guard

import "net/netip"

// digitsOf returns the values of the digits of s.
func digitsOf(s string) []int {
	out := make([]int, 0, 19)
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			out = append(out, int(s[i]-'0'))
		}
	}
	return out
}

func allSame(d []int) bool {
	for _, x := range d {
		if x != d[0] {
			return false
		}
	}
	return true
}

// validCard is the check of ISO/IEC 7812-1 (Luhn).
func validCard(s string) bool {
	d := digitsOf(s)
	if len(d) < 13 || len(d) > 19 || allSame(d) {
		return false
	}
	sum := 0
	for i := range d {
		x := d[len(d)-1-i]
		if i%2 == 1 {
			if x *= 2; x > 9 {
				x -= 9
			}
		}
		sum += x
	}
	return sum%10 == 0
}

// checkDigit is the weighted sum modulo 11 of Brazilian tax numbers.
func checkDigit(d []int, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += d[i] * w
	}
	if r := sum % 11; r >= 2 {
		return 11 - r
	}
	return 0
}

func validCPF(s string) bool {
	d := digitsOf(s)
	return len(d) == 11 && !allSame(d) &&
		checkDigit(d, 10, 9, 8, 7, 6, 5, 4, 3, 2) == d[9] && checkDigit(d, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2) == d[10]
}

func validCNPJ(s string) bool {
	d := digitsOf(s)
	return len(d) == 14 && !allSame(d) &&
		checkDigit(d, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) == d[12] && checkDigit(d, 6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2) == d[13]
}

// validSSN leaves out what the Social Security Administration never gives out.
func validSSN(s string) bool {
	area, group, serial := s[:3], s[4:6], s[7:]
	return area != "000" && area != "666" && area[0] != '9' && group != "00" && serial != "0000"
}

func validIP(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}
