package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	openaiopt "github.com/openai/openai-go/v3/option"
	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/fake"
)

// mediaWorld is a gateway with all providers that offer more than chat, each at a
// fake of its own.
func mediaWorld(t *testing.T) (*gateway, map[string]*fake.Server, openai.Client) {
	t.Helper()
	ups := map[string]*fake.Server{}
	var conf strings.Builder
	conf.WriteString("providers:\n")
	for _, p := range []struct{ id, base string }{
		{"openai", "/v1"}, {"nebius", "/v1"}, {"mistral", "/v1"}, {"together", "/v1"}, {"fireworks", "/inference/v1"}, {"nvidia", "/v1"},
		{"xai", "/v1"}, {"groq", "/openai/v1"}, {"cohere", "/compatibility/v1"}, {"siliconflow", "/v1"}, {"gemini", "/v1beta/models"},
		{"antigravity", ""},
	} {
		up := fake.Start(fake.Options{})
		t.Cleanup(up.Close)
		ups[p.id] = up
		fmt.Fprintf(&conf, "  %s:\n    base_urls: [%q]\n    allow_private: true\n    accounts: [{name: a, api_key: sk-%s}]\n", p.id, up.URL+p.base, p.id)
	}
	spare := fake.Start(fake.Options{})
	t.Cleanup(spare.Close)
	ups["spare"] = spare
	fmt.Fprintf(&conf, "  node:\n    dialect: openai\n    base_urls: [%q, %q]\n    allow_private: true\n    accounts: [{name: a, api_key: sk-node}]\n", fake.RefusedURL()+"/v1", spare.URL+"/v1")
	g := serve(t, conf.String()+"combos:\n  embed: {models: [nvidia/nvidia/nv-embedqa-e5-v5, openai/text-embedding-3-small]}\n"+freely)
	client := openai.NewClient(openaiopt.WithBaseURL(g.URL+"/v1"), openaiopt.WithAPIKey("any"), openaiopt.WithMaxRetries(0))
	return g, ups, client
}

func sentTo(t *testing.T, up *fake.Server, path, key, body string) *fake.Request {
	t.Helper()
	r := up.Last()
	require.NotNil(t, r)
	require.Empty(t, r.Violations)
	require.Equal(t, path, r.Path)
	require.Equal(t, key, r.Key())
	if body != "" {
		require.JSONEq(t, body, string(r.Body))
	}
	return r
}

func TestMedia(t *testing.T) {
	t.Parallel()
	g, ups, client := mediaWorld(t)
	t.Run("embeddings", func(t *testing.T) { mediaEmbeddings(t, g, ups, client) })
	t.Run("gemini embeddings", func(t *testing.T) { geminiEmbeddings(t, g, ups) })
	t.Run("images", func(t *testing.T) { mediaImages(t, g, ups, client) })
	t.Run("audio", func(t *testing.T) { mediaAudio(t, ups, client) })
	t.Run("rerank and moderations", func(t *testing.T) { mediaLists(t, g, ups, client) })
	t.Run("errors", func(t *testing.T) { mediaErrors(t, g, ups) })
	t.Run("books", func(t *testing.T) { mediaBooks(t, g) })
}

func mediaEmbeddings(t *testing.T, g *gateway, ups map[string]*fake.Server, client openai.Client) {
	vector := []float64{0.25, -0.5, 1}
	for _, c := range []struct{ provider, model, path, sent string }{
		{"openai", "text-embedding-3-small", "/v1/embeddings", `{"model":"text-embedding-3-small","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"openai", "text-embedding-3-large", "/v1/embeddings", `{"model":"text-embedding-3-large","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"openai", "text-embedding-ada-002", "/v1/embeddings", `{"model":"text-embedding-ada-002","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"nebius", "Qwen/Qwen3-Embedding-8B", "/v1/embeddings", `{"model":"Qwen/Qwen3-Embedding-8B","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"mistral", "mistral-embed", "/v1/embeddings", `{"model":"mistral-embed","input":["a","b"]}`},
		{"together", "BAAI/bge-large-en-v1.5", "/v1/embeddings", `{"model":"BAAI/bge-large-en-v1.5","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"together", "togethercomputer/m2-bert-80M-8k-retrieval", "/v1/embeddings", `{"model":"togethercomputer/m2-bert-80M-8k-retrieval","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"fireworks", "nomic-ai/nomic-embed-text-v1.5", "/inference/v1/embeddings", `{"model":"nomic-ai/nomic-embed-text-v1.5","input":["a","b"],"dimensions":3,"user":"u"}`},
		{"nvidia", "nvidia/nv-embedqa-e5-v5", "/v1/embeddings", `{"model":"nvidia/nv-embedqa-e5-v5","input":["a","b"],"dimensions":3,"user":"u","input_type":"query"}`},
	} {
		out, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: c.provider + "/" + c.model, Dimensions: openai.Int(3), User: openai.String("u"),
			Input: openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: []string{"a", "b"}}})
		require.NoError(t, err, c.model)
		require.Len(t, out.Data, 2)
		require.Equal(t, vector, out.Data[1].Embedding)
		require.EqualValues(t, 1, out.Data[1].Index)
		require.Equal(t, c.provider+"/"+c.model, out.Model)
		require.EqualValues(t, 3, out.Usage.PromptTokens)
		sentTo(t, ups[c.provider], c.path, "sk-"+c.provider, c.sent)
	}
	// By bare name, by the provider's own route, through a combo, at a node that lists nothing.
	require.Equal(t, http.StatusOK, g.post("/v1/embeddings", `{"model":"text-embedding-3-small","input":"hi"}`).Status)
	require.Equal(t, http.StatusOK, g.post("/api/v1/embeddings", `{"model":"text-embedding-3-small","input":[1,2]}`).Status)
	require.Equal(t, http.StatusOK, g.post("/v1/providers/mistral/embeddings", `{"model":"mistral-embed","input":"hi"}`).Status)
	require.Equal(t, http.StatusOK, g.post("/v1/embeddings", `{"model":"node/any","input":"hi"}`).Status)
	sentTo(t, ups["spare"], "/v1/embeddings", "sk-node", `{"model":"any","input":"hi"}`)

	// base64 is passed on, and made where the provider ignores it.
	const text = "AACAPgAAAL8AAIA/"
	require.Contains(t, g.post("/v1/embeddings", `{"model":"openai/text-embedding-3-small","input":"hi","encoding_format":"base64"}`).Body, text)
	ups["together"].Push(fake.Reply{Body: []byte(`{"data":[{"embedding":[0.25,-0.5,1]}]}`)})
	a := g.post("/v1/embeddings", `{"model":"together/BAAI/bge-large-en-v1.5","input":"hi","encoding_format":"base64"}`)
	require.JSONEq(t, `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"`+text+`"}],
		"model":"together/BAAI/bge-large-en-v1.5","usage":{"prompt_tokens":0,"total_tokens":0}}`, a.Body)

	// A provider that is down is passed over.
	ups["nvidia"].Push(fake.Reply{Status: 500, Error: "down"}, fake.Reply{Status: 500, Error: "down"}, fake.Reply{Status: 500, Error: "down"})
	a = g.post("/v1/embeddings", `{"model":"embed","input":"hi"}`)
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	require.Equal(t, "openai/text-embedding-3-small", a.Header.Get("x-omniroute-target"))
	ups["nvidia"].Reset()

	list := g.get("/v1/embeddings").Body
	require.Contains(t, list, `"id":"nebius/Qwen/Qwen3-Embedding-8B"`)
	require.NotContains(t, list, "dall-e")
}

func geminiEmbeddings(t *testing.T, g *gateway, ups map[string]*fake.Server) {
	a := g.post("/v1beta/models/gemini/gemini-embedding-001:embedContent", `{"content":{"parts":[{"text":"hi"}]},"taskType":"RETRIEVAL_QUERY"}`)
	require.JSONEq(t, `{"embedding":{"values":[0.25,-0.5,1]}}`, a.Body)
	sentTo(t, ups["gemini"], "/v1beta/models/gemini-embedding-001:embedContent", "sk-gemini", `{"content":{"parts":[{"text":"hi"}]},"taskType":"RETRIEVAL_QUERY"}`)

	a = g.post("/v1beta/models/gemini-embedding-001:batchEmbedContents", `{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]}`)
	require.JSONEq(t, `{"embeddings":[{"values":[0.25,-0.5,1]},{"values":[0.25,-0.5,1]}]}`, a.Body)

	// Between the formats.
	a = g.post("/v1/embeddings", `{"model":"gemini/gemini-embedding-001","input":["a","b"],"dimensions":3}`)
	require.Contains(t, a.Body, `{"object":"embedding","index":1,"embedding":[0.25,-0.5,1]}`)
	sentTo(t, ups["gemini"], "/v1beta/models/gemini-embedding-001:batchEmbedContents", "sk-gemini",
		`{"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":3},
		{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":3}]}`)
	a = g.post("/v1beta/models/openai/text-embedding-3-small:embedContent", `{"content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":3}`)
	require.JSONEq(t, `{"embedding":{"values":[0.25,-0.5,1]}}`, a.Body)
	sentTo(t, ups["openai"], "/v1/embeddings", "sk-openai", `{"model":"text-embedding-3-small","input":["a\nb"],"dimensions":3}`)
}

func mediaImages(t *testing.T, g *gateway, ups map[string]*fake.Server, client openai.Client) {
	const asked = `"prompt":"a cat","size":"1024x1024","quality":"hd","style":"vivid","response_format":"b64_json"`
	for _, c := range []struct{ provider, model, path, sent string }{
		{"openai", "gpt-image-1", "/v1/images/generations", `{"model":"gpt-image-1","prompt":"a cat","n":2,"size":"1024x1024","quality":"hd"}`},
		{"openai", "dall-e-3", "/v1/images/generations", `{"model":"dall-e-3","n":1,` + asked + `}`},
		{"openai", "dall-e-2", "/v1/images/generations", `{"model":"dall-e-2","n":2,` + asked + `}`},
		{"xai", "grok-2-image-1212", "/v1/images/generations", `{"model":"grok-2-image-1212","prompt":"a cat","n":2,"response_format":"b64_json"}`},
		{"together", "black-forest-labs/FLUX.1.1-pro", "/v1/images/generations", `{"model":"black-forest-labs/FLUX.1.1-pro","prompt":"a cat","n":2,"width":1024,"height":1024,"quality":"hd","style":"vivid","response_format":"base64"}`},
		{"fireworks", "accounts/fireworks/models/flux-1-dev-fp8", "/inference/v1/images/generations", `{"model":"accounts/fireworks/models/flux-1-dev-fp8","n":2,` + asked + `}`},
		{"nebius", "black-forest-labs/flux-dev", "/v1/images/generations", `{"model":"black-forest-labs/flux-dev","prompt":"a cat","n":2,"width":1024,"height":1024,"quality":"hd","style":"vivid","response_format":"b64_json"}`},
	} {
		out, err := client.Images.Generate(t.Context(), openai.ImageGenerateParams{Model: openai.ImageModel(c.provider + "/" + c.model), Prompt: "a cat", N: openai.Int(2),
			Size: "1024x1024", Quality: "hd", Style: "vivid", ResponseFormat: "b64_json"})
		require.NoError(t, err, c.model)
		require.NotEmpty(t, out.Data)
		require.Equal(t, base64.StdEncoding.EncodeToString(fake.PNG), out.Data[0].B64JSON)
		sentTo(t, ups[c.provider], c.path, "sk-"+c.provider, c.sent)
	}
	ups["antigravity"].Push(fake.Reply{Body: []byte(`{"candidates":[{"content":{"role":"model","parts":[{"text":"A \"black\" cat."},
		{"inlineData":{"mimeType":"image/png","data":"iVBORw=="}}]}}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":1290}}`)})
	a := g.post("/v1/images/generations", `{"model":"antigravity/gemini-2.5-flash-preview-image-generation","prompt":"a \"cat\"","n":1}`)
	require.Equal(t, http.StatusOK, a.Status, a.Body)
	require.Contains(t, a.Body, `"data":[{"b64_json":"iVBORw==","revised_prompt":"A \"black\" cat."}]`)
	sentTo(t, ups["antigravity"], "/v1beta/models/gemini-2.5-flash-preview-image-generation:generateContent", "sk-antigravity",
		`{"contents":[{"role":"user","parts":[{"text":"a \"cat\""}]}],"generationConfig":{"responseModalities":["TEXT","IMAGE"]}}`)
	require.Equal(t, http.StatusOK, g.post("/v1/providers/openai/images/generations", `{"model":"dall-e-2","prompt":"x"}`).Status)
	require.Equal(t, 12, strings.Count(g.get("/v1/images/generations").Body, `"object":"model"`))
}

func mediaAudio(t *testing.T, ups map[string]*fake.Server, client openai.Client) {
	resp, err := client.Audio.Speech.New(t.Context(), openai.AudioSpeechNewParams{Model: "openai/tts-1", Input: "Grüße!", Voice: openai.AudioSpeechNewParamsVoiceUnion{OfString: openai.String("alloy")}})
	require.NoError(t, err)
	sound, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, "audio/mpeg", resp.Header.Get("content-type"))
	require.True(t, bytes.Equal(fake.Sound, sound))
	sentTo(t, ups["openai"], "/v1/audio/speech", "sk-openai", `{"model":"tts-1","input":"Grüße!","voice":"alloy"}`)

	big := bytes.Repeat([]byte("RIFF sound \r\n--"), 200_000) // 3 MB, spooled
	for _, c := range []struct{ provider, model, path string }{
		{"openai", "whisper-1", "/v1/audio/transcriptions"}, {"groq", "whisper-large-v3", "/openai/v1/audio/transcriptions"},
		{"mistral", "voxtral-mini-latest", "/v1/audio/transcriptions"},
	} {
		out, err := client.Audio.Transcriptions.New(t.Context(), openai.AudioTranscriptionNewParams{Model: openai.AudioModel(c.provider + "/" + c.model),
			File: openai.File(bytes.NewReader(big), "talk.wav", "audio/wav"), Language: openai.String("en"), Temperature: openai.Float(0.5)})
		require.NoError(t, err)
		require.Equal(t, "The quick brown fox.", out.Text)
		r := sentTo(t, ups[c.provider], c.path, "sk-"+c.provider, "")
		require.Equal(t, map[string][]string{"model": {c.model}, "language": {"en"}, "temperature": {"0.5"}}, r.Fields)
		require.Len(t, r.Files, 1)
		require.Equal(t, "talk.wav", r.Files[0].Name)
		require.Equal(t, "audio/wav", r.Files[0].Type)
		require.True(t, bytes.Equal(big, r.Files[0].Data))
	}
	stream := client.Audio.Transcriptions.NewStreaming(t.Context(), openai.AudioTranscriptionNewParams{Model: "openai/gpt-4o-transcribe",
		File: openai.File(bytes.NewReader(big), "talk.wav", "audio/wav"), TimestampGranularities: []string{"word", "segment"}})
	var types []string
	for stream.Next() {
		types = append(types, stream.Current().Type)
	}
	require.NoError(t, stream.Err())
	require.Equal(t, []string{"transcript.text.delta", "transcript.text.done"}, types)
	require.Equal(t, []string{"word", "segment"}, ups["openai"].Last().Fields["timestamp_granularities[]"])
}

func mediaLists(t *testing.T, g *gateway, ups map[string]*fake.Server, client openai.Client) {
	for _, c := range []struct{ provider, model, path string }{
		{"cohere", "rerank-v3.5", "/v2/rerank"}, {"together", "Salesforce/Llama-Rank-V1", "/v1/rerank"}, {"siliconflow", "BAAI/bge-reranker-v2-m3", "/v1/rerank"},
	} {
		a := g.post("/v1/rerank", `{"model":"`+c.provider+"/"+c.model+`","query":"q","documents":["a","b"],"top_n":2}`)
		require.Equal(t, http.StatusOK, a.Status, a.Body)
		require.Contains(t, a.Body, `"relevance_score":0.9`)
		sentTo(t, ups[c.provider], c.path, "sk-"+c.provider, `{"model":"`+c.model+`","query":"q","documents":["a","b"],"top_n":2}`)
	}
	out, err := client.Moderations.New(t.Context(), openai.ModerationNewParams{Input: openai.ModerationNewParamsInputUnion{OfString: openai.String("hit")}})
	require.NoError(t, err)
	require.True(t, out.Results[0].Flagged)
	sentTo(t, ups["openai"], "/v1/moderations", "sk-openai", `{"model":"omni-moderation-latest","input":"hit"}`)
	require.Equal(t, http.StatusOK, g.post("/v1/moderations", `{"model":"mistral/mistral-moderation-latest","input":"hit"}`).Status)
	require.Equal(t, http.StatusOK, g.post("/v1/providers/mistral/moderations", `{"model":"mistral-moderation-latest","input":["hit"]}`).Status)
}

func mediaErrors(t *testing.T, g *gateway, ups map[string]*fake.Server) {
	for _, c := range []struct {
		path, body, param string
		status            int
	}{
		{"/v1/embeddings", `{"input":"x"}`, "model", 400},
		{"/v1/embeddings", `{"model":"openai/text-embedding-3-small"}`, "input", 400},
		{"/v1/embeddings", `{"model":"openai/nothing","input":"x"}`, "model", 400},
		{"/v1/embeddings", `{"model":"nobody/x","input":"x"}`, "model", 400},
		{"/v1/embeddings", `{"model":"openai/dall-e-3","input":"x"}`, "model", 400},
		{"/v1/embeddings", `{"model":`, "", 400},
		{"/v1/images/generations", `{"model":"dall-e-3"}`, "prompt", 400},
		{"/v1/images/generations", `{"model":"dall-e-3","prompt":"x","stream":true}`, "stream", 400},
		{"/v1/audio/speech", `{"model":"tts-1","input":["x"]}`, "input", 400},
		{"/v1/audio/transcriptions", `{"model":"whisper-1"}`, "", 415},
		{"/v1/rerank", `{"model":"cohere/rerank-v3.5","query":"x","documents":[]}`, "documents", 400},
	} {
		a := g.post(c.path, c.body)
		require.Equal(t, c.status, a.Status, "%s %s: %s", c.path, c.body, a.Body)
		var e struct {
			Error struct{ Message, Type, Param string }
		}
		require.NoError(t, json.Unmarshal([]byte(a.Body), &e), a.Body)
		require.Equal(t, "invalid_request_error", e.Error.Type, a.Body)
		require.Equal(t, c.param, e.Error.Param, a.Body)
	}
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b"
	for body, word := range map[string]string{form + "--\r\n": "file", form[:len(form)-10]: "ended early", "": "ended early"} {
		a := g.post("/v1/audio/transcriptions", body, "Content-Type", "multipart/form-data; boundary=b")
		require.Equal(t, 400, a.Status, a.Body)
		require.Contains(t, a.Body, word)
	}
	ups["xai"].Push(fake.Reply{Status: 400, Error: "prompt refused"})
	a := g.post("/v1/images/generations", `{"model":"xai/grok-2-image-1212","prompt":"x"}`)
	require.Equal(t, 400, a.Status)
	require.Contains(t, a.Body, "prompt refused")
}

// mediaBooks looks at what the tests before cost.
func mediaBooks(t *testing.T, g *gateway) {
	var list struct {
		Entries []struct {
			Target, Endpoint string
			Cost             int64
		}
	}
	require.NoError(t, json.Unmarshal([]byte(g.must("requests", "--json", "--limit", "200")), &list))
	costs := map[string]int64{} // nano-USD
	for _, e := range list.Entries {
		costs[e.Target] = max(costs[e.Target], e.Cost)
	}
	for target, cost := range map[string]int64{
		"openai/text-embedding-3-small": 60, "openai/gpt-image-1": 80_000_000, "openai/dall-e-3": 40_000_000, "openai/tts-1": 90_000,
		"openai/whisper-1": 9_000_000, "openai/gpt-4o-transcribe": 14*2500 + 6*10000, "cohere/rerank-v3.5": 2_000_000,
	} {
		require.Equal(t, cost, costs[target], target)
	}
}
