package hub

import "github.com/omniroute/omniroute/sdk/jsn"

// Roles of messages.
const (
	System    = "system"
	Developer = "developer"
	User      = "user"
	Assistant = "assistant"
	Tool      = "tool"
)

// Request is a chat request. Fields of type []byte hold raw JSON values, nil when
// the client did not send the field.
type Request struct {
	Source string // dialect the request came in
	Model  string
	Stream bool

	Messages []Message
	Tools    []ToolDef
	Choice   Choice
	Parallel Tri // parallel tool calls allowed

	MaxTokens         []byte
	Temperature       []byte
	TopP, TopK        []byte
	PresencePenalty   []byte
	FrequencyPenalty  []byte
	N, Seed           []byte
	LogitBias         []byte
	Logprobs          []byte
	TopLogprobs       []byte
	Stop              []jsn.Str
	Format            Format
	Thinking          Thinking
	Visible           bool    // client wants to see reasoning
	Summary           jsn.Str // Responses summary kind
	IncludeUsage      bool    // client asked for the usage chunk
	User              jsn.Str
	SafetyIdentifier  jsn.Str
	PromptCacheKey    jsn.Str
	ServiceTier       jsn.Str
	Verbosity         jsn.Str
	Metadata          []byte
	Store             []byte
	Modalities        []byte
	Raw               []Field // unmapped root fields of the source
	ExplicitMaxTokens bool    // the client itself set MaxTokens
}

// Tri is a boolean that may be unset.
type Tri uint8

// Values of Tri.
const (
	Unset Tri = iota
	True
	False
)

// Field is a root field that the hub has no place for.
type Field struct {
	Name string
	Raw  []byte
}

// Message is one message. Parts hold the visible content in order; Reasoning and
// Calls exist on assistant messages only.
type Message struct {
	Role      string
	Parts     []Part
	Reasoning []Reasoning
	Calls     []Call
	Phase     string // Responses message phase

	// CallID, Name and IsError belong to tool messages. CallID "" = no id given.
	CallID  string
	Name    string
	IsError bool
	Cache   []byte // cache mark of a tool result
}

// PartKind is the type of a content part.
type PartKind uint8

// Kinds of parts.
const (
	PartText PartKind = iota
	PartImage
	PartAudio
	PartVideo
	PartFile
	PartFileRef // a file id of one vendor
)

// Part is one piece of content.
type Part struct {
	Kind  PartKind
	Text  jsn.Str // PartText
	Sig   jsn.Str // Gemini signature of a text part
	Media *Media  // every other kind
	Cache []byte  // cache mark, verbatim
}

// Media is an image, a recording or a document: either Data or URL is set, for
// PartFileRef it is ID.
type Media struct {
	MIME   string  // lower case, without parameters; "" = unknown
	Data   jsn.Str // base64 payload
	URL    jsn.Str
	ID     jsn.Str
	Name   jsn.Str // file name or title
	Detail jsn.Str // image detail
	Type   string  // part type in the client's dialect, for messages
}

// Reasoning is one block of reasoning.
type Reasoning struct {
	Text     jsn.Str
	Sig      jsn.Str // signature, or the opaque data of a redacted block
	Redacted bool
	Provider string // who signed: claude, gemini, openai; "" = unsigned
}

// Call is a tool call of an assistant message.
type Call struct {
	ID        string
	Name      string
	Args      Args
	GoogleSig jsn.Str // Gemini signature of the call
	Custom    bool    // call of a free-form tool; Args is {"input": …}
	Cache     []byte
}

// ToolDef is a tool definition.
type ToolDef struct {
	Name        string
	Description jsn.Str
	Parameters  []byte // JSON schema
	Strict      []byte
	Cache       []byte
	Custom      bool   // free-form tool: the single string property input
	Namespace   string // Responses namespace; Name is <namespace>__<name>
	Hosted      string // vendor-hosted tool: its type; "web_search" for web search
	Raw         []byte // definition as the client sent it
}

// Choice modes.
const (
	ChoiceAuto     = "auto"
	ChoiceNone     = "none"
	ChoiceRequired = "required"
	ChoiceNamed    = "named"
)

// Choice is the tool choice. Mode "" = not given. Names holds the one name of
// ChoiceNamed, or the allow list that goes with ChoiceAuto or ChoiceRequired.
type Choice struct {
	Mode  string
	Names []string
}

// Response format kinds.
const (
	FormatJSON   = "json_object"
	FormatSchema = "json_schema"
)

// Format is the structured output wish. Kind "" = plain text.
type Format struct {
	Kind        string
	Name        jsn.Str
	Description jsn.Str
	Schema      []byte
	Strict      []byte
}

// Thinking modes.
const (
	ThinkBudget = "budget"
	ThinkEffort = "effort"
	ThinkAuto   = "auto"
	ThinkOff    = "off"
)

// Thinking is the client's wish, before any level table. Mode "" = no wish.
type Thinking struct {
	Mode   string
	Budget int64
	Effort string
}
