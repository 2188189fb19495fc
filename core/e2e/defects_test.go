package e2e

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// defects are what earlier gateways got wrong, and the tests that it does not
// happen here: "package TestName".
var defects = map[string]struct {
	what  string
	tests []string
}{
	"D01": {"a saved setting changes nothing, or is lost on restart", []string{"core/boot TestEverySettingHasAnEffect", "core/boot TestGuardsSurviveARestart"}},
	"D02": {"round-robin gives the neighbour of a failing member a double load", []string{"core/flow TestRoundRobinGoesOnBehindTheOneThatServed"}},
	"D03": {"looking at what is available changes what is chosen", []string{"core/flow TestLooksChangeNothing"}},
	"D04": {"the place of a stream is freed at its headers", []string{"core/flow TestStreamsHoldTheirPlace"}},
	"D05": {"the final error does not say when to come back", []string{"core/flow TestFinalErrorsSayWhen", "core/flow TestPanicMode"}},
	"D06": {"a strategy does not record uses and picks the same account for ever", []string{"core/flow TestAccountStrategies"}},
	"D07": {"failures of one incident raise the backoff several levels", []string{"core/flow TestHerdOfRequests", "core/account TestHerd"}},
	"D08": {"a success of one kind of request leaves the account marked", []string{"core/flow TestAnySuccessClearsTheAccount"}},
	"D09": {"a known reset is ignored or extended", []string{"core/flow TestKnownResetsAreObeyed"}},
	"D10": {"a limit, a client that left or a proxy opens a provider's breaker", []string{"core/flow TestWhatNeverOpensABreaker"}},
	"D11": {"one model's quota cools an account whose quotas are per model", []string{"core/flow TestQuotaOfOneModelLeavesTheOthers"}},
	"D12": {"a malformed request cools every account", []string{"core/flow TestBadRequestsCoolNobody"}},
	"D13": {"one account's limit makes the model unavailable for all", []string{"core/flow TestTheNextAccountServesWhenOneIsLimited"}},
	"D14": {"a breaker stays open for ever, or loses its probe", []string{"core/flow TestBreakerClosesByItself", "core/health TestBreaker", "core/health TestBreakerWantsSeveralSuccesses"}},
	"D15": {"a limiter's queue is unbounded or stuck behind a long pause", []string{"core/health TestLimiterRefusesAtOnce", "core/health TestLimiterPauseAndLearn", "core/health TestLimiterWaitersOfAReservoir", "core/flow TestPatienceHoldsForLearnedLimits", "core/flow TestTokenLimitsAreLearnt"}},
	"D16": {"an idempotent replay crosses tenants, paths or bodies", []string{"core/flow TestIdempotencyKeysAreNarrow"}},
	"D17": {"the cache's key lacks what changes an answer", []string{"core/flow TestCacheKeysAreNarrow"}},
	"D18": {"an absent temperature counts as zero", []string{"core/flow TestCacheKeysAreNarrow"}},
	"D19": {"the client's address is forged by X-Forwarded-For", []string{"core/flow/accept TestClientIPTrustsOnlyProxies"}},
	"D20": {"thinking is removed on tool-result turns", []string{"core/flow TestThinkingStaysOnToolResultTurns", "plugins/dialect TestVectors"}},
	"D21": {"the system prompt is injected twice or as [object Object]", []string{"core/flow/execute TestWithSystemKeepsWhatIsThere"}},
	"D22": {"context trimming orphans tool results", []string{"core/flow/execute TestTrimDropsWholeOldTurns", "core/flow/execute TestTrimCutsWithinALongLoop"}},
	"D23": {"a chunk is sanitized and the raw one sent", []string{"core/e2e TestSanitizedAnswers"}},
	"D24": {"a think tag split over chunks leaks", []string{"sdk/hub/stream TestThinkSplitter"}},
	"D25": {"the schema cleaner deletes a property of a keyword's name, or edits the arguments of calls", []string{"plugins/dialect TestPropertiesNamedLikeKeywordsStay", "plugins/dialect TestVectors"}},
	"D26": {"a bypass reply is empty, or ends a Claude stream with [DONE]", []string{"core/flow TestBypassAnswersHousekeeping"}},
	"D27": {"secrets or bodies on disk against the operator's word", []string{"core/e2e TestSecretsStayInside", "core/e2e TestCredentialsStayOutOfRecords", "core/telemetry/capture TestStages", "core/flow TestStagesOfARequest", "core/flow TestNoLogKeys"}},
	"D28": {"the input of Claude streams is always 0", []string{"core/flow TestInputOfClaudeStreamsIsCounted", "core/flow TestUsageOfEveryDialect"}},
	"D29": {"clients see usage with a margin they did not ask for", []string{"core/flow TestUsageMarginIsForClientsOnly"}},
	"D30": {"cost is not recorded, or counts reasoning and cache twice", []string{"core/ledger TestCost", "core/flow TestUsageOfEveryDialect", "core/flow TestUnlistedRequestsAreCharged", "core/flow TestMeterRulesCountAndBill"}},
	"D31": {"requests side by side overshoot a budget, or the month has none", []string{"core/ledger TestBudgetRace", "core/ledger TestBudgets", "core/flow TestBudgetsHoldTogether"}},
	"D32": {"a timeout is reported as a bad gateway", []string{"core/flow TestTimeoutsAreTimeouts"}},
	"D33": {"signatures are dropped as empty events", []string{"core/flow TestSignaturesOfStreamsReachTheClient", "plugins/dialect TestTextSignatures", "plugins/dialect TestSignatureInTheSnapshot"}},
	"D34": {"usage in the last unterminated line is lost", []string{"core/flow TestUsageInTheLastLineCounts"}},
	"D35": {"a refresh token is used twice, lost in a crash, or deleted", []string{"core/account TestRenewalsAreSingle", "core/account TestRevokedRefreshToken", "core/boot TestCredentialIsRenewedBeforeUse"}},
	"D36": {"a pending counter leaks on an early return", []string{"core/telemetry TestPending", "core/flow TestNoRequestStaysPending"}},
}

func TestEveryDefectHasATest(t *testing.T) {
	known := map[string]map[string]bool{}
	for n := 1; n <= 36; n++ {
		id := fmt.Sprintf("D%02d", n)
		row, ok := defects[id]
		require.True(t, ok, "%s has no row", id)
		require.NotEmpty(t, row.what, id)
		require.NotEmpty(t, row.tests, id)
		for _, name := range row.tests {
			pkg, test, ok := strings.Cut(name, " ")
			require.True(t, ok, name)
			if known[pkg] == nil {
				known[pkg] = testsOf(t, pkg)
			}
			require.True(t, known[pkg][test], "%s: %s has no %s", id, pkg, test)
		}
	}
	require.Len(t, defects, 36)
}

// testsOf are the test functions of a package.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(repoRoot, filepath.FromSlash(pkg), "*_test.go"))
	require.NoError(t, err)
	out := map[string]bool{}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				out[f.Name.Name] = true
			}
		}
	}
	return out
}
